import ArgumentParser
import Foundation
import MeshAuth

/// `mesh-events auth list`.
struct AuthListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show the users, their roles, and until when the certificate is valid.",
        usage: "mesh-events auth list DIR"
    )

    @OptionGroup var auth: AuthDirectoryOptions

    func run() async throws {
        let directory = try AuthDirectory.open(at: auth.directory)
        var table = TextTable(["USER", "ROLE", "PUBLIC KEY", "INBOX", "PASSWORD"])
        for user in directory.users {
            table.add([
                .name(user.name), .init(user.role.rawValue), .init(user.publicKey), .init(user.inbox),
                .init(directory.password(of: user.name) == nil ? "" : "yes"),
            ])
        }
        let output = LineOutput.standard()
        for line in table.lines(isColored: Terminal.output.usesColor()) { try output.write(line) }
        try output.write("")
        let hosts = directory.hosts.map { SafeText.name($0) }.joined(separator: ", ")
        let end = directory.certificateEnd.map { "until \($0.formatted(.iso8601.year().month().day()))" } ?? "missing"
        try output.write("certificate: \(end), for \(hosts)")
    }
}
