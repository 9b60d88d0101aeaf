import ArgumentParser
import MeshAuth

/// `mesh-events auth allow`.
struct AuthAllowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "allow",
        abstract: "Let a user take the events of more durables, or answer for more nodes, or log in with a password.",
        usage: "mesh-events auth allow DIR NAME [--durable NAME ...] [--node NAME ...] [--password]",
        discussion: "An admin creates the durable: `mesh-events stream durable NAME PATTERN`, once."
    )

    @OptionGroup var auth: AuthDirectoryOptions

    @Argument(help: ArgumentHelp("The user's name.", valueName: "name"))
    var name: String

    @OptionGroup var names: AuthNameOptions

    @Flag(help: "Let the user log in with a password as well: for programs without NKeys.")
    var password = false

    func run() async throws {
        guard !names.durables.isEmpty || !names.nodes.isEmpty || password else {
            throw CommandFailure(.usage, "name what to allow, for example --durable alarms")
        }
        var directory = try AuthDirectory.open(at: auth.directory)
        try directory.allow(name, durables: names.durables, nodes: names.nodes, password: password)
        guard let user = directory.users.first(where: { $0.name == name }) else { return }
        let output = LineOutput.standard()
        if password { try output.write(AuthNameOptions.password(name, directory)) }
        for line in AuthNameOptions.lines(user) { try output.write(line) }
        Diagnostics.say(AuthDirectoryOptions.reloading)
    }
}

/// The options for a user's durables and nodes. Each is named, because a server has no permission for part of a name.
struct AuthNameOptions: ParsableArguments {
    @Option(
        name: .customLong("durable"),
        help: ArgumentHelp("A durable whose events the user may take; may be repeated.", valueName: "name")
    )
    var durables: [String] = []

    @Option(
        name: .customLong("node"),
        help: ArgumentHelp(
            "A node for which the user answers requests about tools; may be repeated.",
            valueName: "name"
        )
    )
    var nodes: [String] = []

    /// A line for people on how a user logs in with its password, without the password.
    static func password(_ name: String, _ directory: AuthDirectory) -> String {
        "\(name) may log in with the password in \(SafeText.escaped(directory.passwordFile(of: name))) too: "
            + "JB_NATS_URL=tls://\(name):PASSWORD@HOST:4222 SSL_CERT_FILE=ca.pem"
    }

    /// The lines for people on a user's durables and nodes.
    static func lines(_ user: MeshUser) -> [String] {
        func list(_ names: [String]) -> String { names.map { SafeText.name($0) }.joined(separator: ", ") }
        var lines: [String] = []
        if !user.durables.isEmpty {
            lines.append("\(user.name) may take the events of the durables \(list(user.durables))")
        }
        if !user.nodes.isEmpty { lines.append("\(user.name) answers for the nodes \(list(user.nodes))") }
        return lines
    }
}
