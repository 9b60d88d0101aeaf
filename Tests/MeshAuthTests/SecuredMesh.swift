import LocalNATSServer
import Logging
import MeshAuth
import MeshEvents
import MeshEventsNATS
import NATSClient
import TestSupport

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A server that lets in the users of a directory only.
struct SecuredMesh {
    let directory: AuthDirectory
    let server: LocalNATSServer

    /// Runs `body` with a new directory and its server.
    static func with<Result>(
        _ binary: NATSServers.Binary,
        _ body: (SecuredMesh) async throws -> Result
    ) async throws -> Result {
        let temporary = try TemporaryDirectory()
        let directory = try AuthDirectory.create(at: "\(temporary.path)/auth")
        let configuration = LocalNATSServer.Configuration(extraConfiguration: directory.serverAccess, requiresTLS: true)
        return try await withServer(binary, configuration) { server in
            try await body(SecuredMesh(directory: directory, server: server))
        }
    }

    /// How a user connects.
    func configuration(_ name: String, inbox: String? = nil) throws -> NATSConnection.Configuration {
        var configuration = NATSConnection.Configuration(
            servers: try ServerAddress.list(server.url),
            authentication: .nkeyFile(path: directory.seedFile(of: name)),
            tls: NATSConnection.TLSConfiguration(certificateAuthorityFile: directory.authorityFile)
        )
        configuration.inboxPrefix = inbox
        return configuration
    }

    func connect(_ name: String) async throws -> NATSTransport {
        try await NATSTransport.connect(configuration(name), logger: quiet)
    }

    /// The bus of a user, on the mesh's stream.
    func open(_ name: String) async throws -> PersistentEventBus {
        try await PersistentEventBus.open(transport: try await connect(name), node: name, logger: quiet)
    }
}

/// Why something fails, as the bus words it; `nil` when it does not.
func failure(_ body: () async throws -> Void) async -> MeshEventsError? {
    do {
        try await body()
        return nil
    } catch let error as MeshEventsError {
        return error
    } catch let error as BatchEmitError {
        return error.cause
    } catch let error as NATSError {
        return MeshEventsError(error)
    } catch let error as JetStreamError {
        return MeshEventsError(error, stream: "MESH_EVENTS")
    } catch {
        return MeshEventsError(.protocolViolation, "\(error)")
    }
}
