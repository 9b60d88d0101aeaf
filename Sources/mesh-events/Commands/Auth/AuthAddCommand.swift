import ArgumentParser
import MeshAuth

/// `mesh-events auth add`.
struct AuthAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add a user, with a key of its own.",
        usage: "mesh-events auth add DIR NAME --role tool|node|observer|admin"
    )

    @OptionGroup var auth: AuthDirectoryOptions

    @Argument(help: ArgumentHelp("The user's name: letters, digits, '-', '_' and '.'.", valueName: "name"))
    var name: String

    @Option(
        help: ArgumentHelp("What the user may do; see `mesh-events auth --help`.", valueName: "role"),
        transform: MeshRole.named
    )
    var role: MeshRole

    func run() async throws {
        var directory = try AuthDirectory.open(at: auth.directory)
        let file = try directory.add(name, role: role)
        try LineOutput.standard().write(
            "\(name) may log in as \(role.rawValue) with \(SafeText.escaped(file)) and \(SafeText.escaped(directory.authorityFile))"
        )
        Diagnostics.say(AuthDirectoryOptions.reloading)
    }
}
