import EventWork
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import MeshMonitoring

/// A mesh whose state a keeper has saved, on a server of its own, whose stream keeps whatever is stored.
final class StatusMeasures: Sendable {
    private static let nodes = 2_000
    private let server: LocalNATSServer
    private let transport: NATSTransport
    private let persistent: PersistentEventBus

    init() async throws {
        server = try await LocalNATSServer.start(LocalNATSServer.Configuration(syncsEachWrite: false))
        transport = try await NATSTransport.connect(to: server.url)
        persistent = try await PersistentEventBus.open(
            transport: transport,
            node: Work.node,
            configuration: PersistentEventBus.Configuration(maximumMessages: nil)
        )
    }

    /// Fills the stream up to this many events, of all nodes in turn, and has the state saved.
    func fill(_ stored: Range<Int>) async throws {
        for start in stride(from: stored.lowerBound, to: stored.upperBound, by: 500_000) {
            try await persistent.emit(
                contentsOf: (start..<min(start + 500_000, stored.upperBound)).lazy.map { Self.health($0) }
            )
        }
        let store = JetStreamStore(transport.connection)
        let table = JetStreamStateStore(beside: store)
        let keeper = MeshKeeper(bus: persistent, store: store, table: table)
        let keeping = Task { try await keeper.run() }
        while try await MeshMonitor.start(store: store, saved: table).savedState == nil {
            try await Task.sleep(for: .seconds(1))
        }
        keeping.cancel()
        try await keeping.value
    }

    /// What `mesh-events status` does: connects, and learns the state of the mesh. Milliseconds.
    func status() -> Measure {
        {
            let start = now()
            let transport = try await NATSTransport.connect(to: self.server.url)
            let store = JetStreamStore(transport.connection)
            let monitor = try await MeshMonitor.start(store: store, saved: JetStreamStateStore(beside: store))
            let (summary, isSaved) = (monitor.state.summary, monitor.savedState != nil)
            let time = (now() - start) / 1e6
            monitor.close()
            await transport.close()
            guard summary.nodes == Self.nodes, isSaved else {
                throw BenchmarkError("the status had \(summary.nodes) of \(Self.nodes) nodes; saved: \(isSaved)")
            }
            return [time]
        }
    }

    func close() async {
        await transport.close()
        await server.stop()
    }

    private static func health(_ number: Int) -> Event {
        // None falls silent meanwhile.
        Event.nodeHealth(
            node: "node-\(number % nodes)",
            status: "online",
            resources: ["cpu": JSONValue(Double(number % 100) / 100), "interval_s": 86_400, "mem_total_mb": 8_192]
        )
    }
}
