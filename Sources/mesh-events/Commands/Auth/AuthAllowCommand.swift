import ArgumentParser
import MeshAuth

/// `mesh-events auth allow`.
struct AuthAllowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "allow",
        abstract: "Let a user keep more durables, or answer for more nodes.",
        usage: "mesh-events auth allow DIR NAME [--durable NAME ...] [--node NAME ...]"
    )

    @OptionGroup var auth: AuthDirectoryOptions

    @Argument(help: ArgumentHelp("The user's name.", valueName: "name"))
    var name: String

    @OptionGroup var names: AuthNameOptions

    func run() async throws {
        guard !names.durables.isEmpty || !names.nodes.isEmpty else {
            throw CommandFailure(.usage, "name what to allow, for example --durable alarms")
        }
        var directory = try AuthDirectory.open(at: auth.directory)
        try directory.allow(name, durables: names.durables, nodes: names.nodes)
        guard let user = directory.users.first(where: { $0.name == name }) else { return }
        let output = LineOutput.standard()
        for line in AuthNameOptions.lines(user) { try output.write(line) }
        Diagnostics.say(AuthDirectoryOptions.reloading)
    }
}

/// What is listed for a user: durables and nodes, by name, since the server knows no permission for a part of a name.
struct AuthNameOptions: ParsableArguments {
    @Option(
        name: .customLong("durable"),
        help: ArgumentHelp("A durable that the user may keep; may be repeated.", valueName: "name")
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

    /// What is listed for a user, for people.
    static func lines(_ user: MeshUser) -> [String] {
        func list(_ names: [String]) -> String { names.map { SafeText.name($0) }.joined(separator: ", ") }
        var lines: [String] = []
        if !user.durables.isEmpty { lines.append("\(user.name) may keep the durables \(list(user.durables))") }
        if !user.nodes.isEmpty { lines.append("\(user.name) answers for the nodes \(list(user.nodes))") }
        return lines
    }
}
