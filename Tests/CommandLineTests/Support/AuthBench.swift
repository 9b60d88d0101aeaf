import Foundation
import NATSClient
import TestSupport
import Testing

/// A directory of `auth init`, and a node that serves with it.
final class AuthBench {
    let directory: TemporaryDirectory
    let path: String
    let serve: Command
    private(set) var url = ""

    /// - Parameter manifest: the node's tools.
    init(_ binary: NATSServers.Binary, manifest: String? = nil, _ arguments: [String] = []) async throws {
        directory = try TemporaryDirectory()
        path = directory.path + "/auth"
        let made = try await Command.run(["auth", "init", path])
        #expect(made.code == 0, "\(made.error)")
        var arguments = ["serve", "--node", "me", "--port", "0", "--auth", path, "--json"] + arguments
        if let manifest { arguments += ["--config", try directory.file("mesh.yaml", manifest)] }
        serve = try Command(arguments, environment: ["MESH_EVENTS_NATS_SERVER": binary.path])
        try await serve.waitForOutput("node.joined")
        url = String(try #require(serve.error.firstMatch(of: #/listens on (tls://[^ ]+)/#)).1)
    }

    /// A connection of a user, for what no command does.
    func connect(_ user: String) async throws -> NATSConnection {
        try await NATSConnection.connect(
            NATSConnection.Configuration(
                servers: try ServerAddress.list(url),
                authentication: .nkeyFile(path: "\(path)/\(user).nk"),
                tls: NATSConnection.TLSConfiguration(certificateAuthorityFile: path + "/ca.pem")
            )
        )
    }

    func run(_ user: String?, _ arguments: String...) async throws -> Command.Outcome {
        try await run(user, arguments)
    }

    func run(_ user: String?, _ arguments: [String]) async throws -> Command.Outcome {
        var environment = ["JB_NATS_URL": url, "MESH_EVENTS_TLS_CA": path + "/ca.pem"]
        if let user { environment["MESH_EVENTS_NKEY"] = "\(path)/\(user).nk" }
        return try await Command.run(arguments, environment: environment)
    }

    func end() async throws {
        serve.signal(SIGTERM)
        let outcome = try await serve.wait()
        #expect(outcome.code == 0, "\(outcome.error)")
    }
}
