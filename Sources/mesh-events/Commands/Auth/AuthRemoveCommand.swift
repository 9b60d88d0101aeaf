import ArgumentParser
import MeshAuth

/// `mesh-events auth remove`.
struct AuthRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Remove a user: its key is invalid after the server has read the users again.",
        usage: "mesh-events auth remove DIR NAME"
    )

    @OptionGroup var auth: AuthDirectoryOptions

    @Argument(help: ArgumentHelp("The user's name.", valueName: "name"))
    var name: String

    func run() async throws {
        var directory = try AuthDirectory.open(at: auth.directory)
        try directory.remove(name)
        try LineOutput.standard().write("removed \(SafeText.name(name))")
        Diagnostics.say(AuthDirectoryOptions.reloading + "; until then \(name) keeps access")
    }
}
