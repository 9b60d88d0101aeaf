import LocalNATSServer
import MeshEvents
import MeshEventsConformance
import MeshEventsNATS
import NATSClient
import TestSupport
import Testing

@Suite("JetStreamStore keeps the guarantees of every store", .timeLimit(.minutes(5)))
struct StoreConformanceTests {
    @Test("against real servers", arguments: NATSServers.all)
    func conforms(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { try await conforms($0) }
    }

    /// Message by message, as the roles of `mesh-events auth` read.
    @Test("for users who may create no consumers but durables", arguments: NATSServers.all)
    func conformsWithoutConsumers(binary: NATSServers.Binary) async throws {
        let users = """
            no_auth_user: reader
            authorization { users: [
              { user: reader, password: "x", permissions: { publish: { deny: ["$JS.API.CONSUMER.CREATE.>"] } } }
            ] }
            """
        try await withServer(binary, .init(extraConfiguration: users)) { try await conforms($0) }
    }

    private func conforms(_ server: LocalNATSServer) async throws {
        for (number, check) in StoreConformance.checks.enumerated() {
            do {
                try await check.run { try await fixture(server, number) }
            } catch {
                Issue.record("\(check): \(error)")
            }
        }
    }

    /// A fixture on a server without streams.
    private func fixture(_ server: LocalNATSServer, _ number: Int) async throws -> StoreConformance.Fixture {
        let first = try await NATSTransport.connect(to: server.url)
        let second = try await NATSTransport.connect(to: server.url)
        let configuration = PersistentEventBus.Configuration()
        return StoreConformance.Fixture(
            store: JetStreamStore(first.connection),
            other: JetStreamStore(second.connection),
            transport: first,
            configuration: configuration,
            deleteStream: {
                try await JetStream(connection: second.connection).deleteStream(configuration.streamName)
            },
            close: {
                // The checks share the server, and each needs a stream that does not exist yet.
                do throws(JetStreamError) {
                    try await JetStream(connection: second.connection).deleteStream(configuration.streamName)
                } catch {
                    if error.errorCode != .streamNotFound { Issue.record("the stream of this check stays: \(error)") }
                }
                await first.close()
                await second.close()
            }
        )
    }
}

@Suite("NATSTransport keeps the guarantees of every transport", .timeLimit(.minutes(5)))
struct TransportConformanceTests {
    @Test("against real servers", arguments: NATSServers.all)
    func conforms(binary: NATSServers.Binary) async throws {
        try await withServer(binary, .init(jetStream: false)) { server in
            for check in TransportConformance.checks {
                do {
                    try await check.run {
                        let emitting = try await NATSTransport.connect(to: server.url)
                        let receiving = try await NATSTransport.connect(to: server.url)
                        return TransportConformance.Fixture(emitting: emitting, receiving: receiving) {
                            await emitting.close()
                            await receiving.close()
                        }
                    }
                } catch {
                    Issue.record("\(check): \(error)")
                }
            }
        }
    }
}
