import ArgumentParser
import MeshAuth

/// `mesh-events auth add`.
struct AuthAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add a user with its own key.",
        usage: "mesh-events auth add DIR NAME --role tool|node|observer|admin [--durable NAME ...] [--node NAME ...] "
            + "[--password]",
        discussion:
            "Without --durable and --node a tool or a node may consume the durable of its own name, after an admin has "
            + "created it (`mesh-events stream durable`), and a node answers for the node of its own name."
    )

    @OptionGroup var auth: AuthDirectoryOptions

    @Argument(help: ArgumentHelp("The user's name: letters, digits, '-', '_' and '.'.", valueName: "name"))
    var name: String

    @Option(
        help: ArgumentHelp("What the user may do; see `mesh-events auth --help`.", valueName: "role"),
        transform: MeshRole.named
    )
    var role: MeshRole

    @OptionGroup var names: AuthNameOptions

    @Flag(help: "Let the user log in with a password as well: for programs without NKeys.")
    var password = false

    func run() async throws {
        var directory = try AuthDirectory.open(at: auth.directory)
        let file = try directory.add(
            name,
            role: role,
            durables: names.durables.isEmpty ? nil : names.durables,
            nodes: names.nodes.isEmpty ? nil : names.nodes,
            password: password
        )
        let output = LineOutput.standard()
        try output.write(
            "\(name) may log in as \(role.rawValue) with \(SafeText.escaped(file)) and \(SafeText.escaped(directory.authorityFile))"
        )
        if password { try output.write(AuthNameOptions.password(name, directory)) }
        if let user = directory.users.first(where: { $0.name == name }) {
            for line in AuthNameOptions.lines(user) { try output.write(line) }
        }
        Diagnostics.say(AuthDirectoryOptions.reloading)
    }
}
