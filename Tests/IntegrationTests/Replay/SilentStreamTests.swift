import LocalNATSServer
import MeshEvents
import MeshMonitoring
import NATSClient
import Synchronization
import TestSupport
import Testing

@testable import MeshEventsNATS

@Suite("A stream that does not answer while the connection is up", .timeLimit(.minutes(5)))
struct SilentStreamTests {
    /// What readers were told, by reader.
    private final class Told: Sendable {
        private let reports = Mutex<[String: [Bool]]>([:])

        func listener(_ reader: String) -> @Sendable (MeshEventsError?) -> Void {
            reports.withLock { $0[reader] = [] }
            return { error in self.reports.withLock { $0[reader]?.append(error != nil) } }
        }

        /// Waits until all readers have got exactly these reports: `true` for trouble, `false` for its end.
        func wait(for expected: [Bool]) async throws {
            do {
                try await eventually(within: .seconds(120), "the reports") {
                    reports.withLock { $0.values.allSatisfy { $0 == expected } }
                }
            } catch {
                throw TestSupportError("\(error) There are: \(reports.withLock { $0 })")
            }
        }
    }

    /// How many events readers have got.
    private final class Seen: Sendable {
        private let counts = Mutex<[String: Int]>([:])

        func note(_ reader: String) { counts.withLock { $0[reader, default: 0] += 1 } }

        /// How many readers there are, and how many events each of them has at least.
        var least: (readers: Int, events: Int) { counts.withLock { ($0.count, $0.values.min() ?? 0) } }
    }

    @Test(
        "the server that holds the stream is killed: replays, a monitor and a durable report it once, and once that it answers again",
        arguments: NATSServers.all
    )
    func holderKilled(binary: NATSServers.Binary) async throws {
        try await withCluster(binary) { cluster in
            try await cluster.waitUntilReady()
            let emitter = try await PersistentEventBus.open(
                transport: NATSTransport(try await cluster.connect()),
                node: "n",
                configuration: .init(maximumMessages: nil, replicas: 1, acknowledgementDeadline: .seconds(60)),
                logger: quiet
            )
            try await emitter.emit("user.first")
            let api = JetStream(connection: try await cluster.connect())
            let holder = try #require(try await api.streamInfo("MESH_EVENTS").cluster?.leader)
            let server = try #require(cluster.servers[holder])

            // The readers' connection stays up.
            let addresses = try cluster.others(than: holder).flatMap { try ServerAddress.list($0.url) }
            let connection = try await NATSConnection.connect(.init(servers: addresses), logger: quiet)
            let told = Told()
            let seen = Seen()
            var tasks: [Task<Void, any Error>] = []
            for readsMessages in [false, true] {
                let store = JetStreamStore(connection)
                store.readsMessages.store(readsMessages, ordering: .relaxed)
                let replay = try await EventReplay(store: store, logger: quiet).open(matching: "events.user.>")
                let name = readsMessages ? "messages" : "consumer"
                replay.whenTroubled(told.listener(name))
                tasks.append(
                    Task {
                        for try await element in replay where element.event != nil { seen.note(name) }
                    }
                )
            }
            let monitor = try await MeshMonitor.start(store: JetStreamStore(connection), logger: quiet)
            monitor.whenTroubled(told.listener("monitor"))
            let reader = try await PersistentEventBus.open(
                transport: NATSTransport(connection),
                node: "n",
                configuration: .init(maximumMessages: nil, replicas: 1),
                logger: quiet
            )
            let durable = try await reader.subscribe(durable: "d", to: "events.user.>") { _ in seen.note("durable") }
            durable.whenTroubled(told.listener("durable"))
            try await eventually("the first event") { seen.least == (3, 1) }

            await server.kill()
            try await told.wait(for: [true])
            try await server.restart()
            try await told.wait(for: [true, false])
            try await emitter.emit("user.second")
            try await eventually("the second event") { seen.least == (3, 2) }
            try await told.wait(for: [true, false])
            for task in tasks { task.cancel() }
            durable.cancel()
            monitor.close()
            await connection.close()
        }
    }
}
