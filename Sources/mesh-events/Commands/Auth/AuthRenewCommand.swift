import ArgumentParser
import MeshAuth

/// `mesh-events auth renew`.
struct AuthRenewCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "renew",
        abstract: "Make the server's certificate anew, for another 13 months or for more hosts.",
        usage: "mesh-events auth renew DIR [--host NAME ...]",
        discussion: "The authority stays the same, so clients need no change."
    )

    @OptionGroup var auth: AuthDirectoryOptions

    @Option(
        name: .customLong("host"),
        help: ArgumentHelp("A name or address to add; may be repeated.", valueName: "name")
    )
    var hosts: [String] = []

    func run() async throws {
        var directory = try AuthDirectory.open(at: auth.directory)
        try directory.renew(adding: hosts)
        let list = directory.hosts.map { SafeText.name($0) }.joined(separator: ", ")
        try LineOutput.standard().write("a new certificate, valid for \(list)")
        Diagnostics.say(AuthDirectoryOptions.reloading)
    }
}
