import MeshEvents
import MeshEventsNATS
import MeshMonitoring

extension ConnectionOptions {
    /// Starts a monitor of the mesh: it has taken in all stored events when this returns.
    ///
    /// - Parameter verification: lets only events count that their node has signed; `nil` for all.
    /// - Throws: as `MeshMonitor`: `streamNotFound`, `permissionDenied` …
    func monitor(_ transport: NATSTransport, _ verification: SignatureVerification?) async throws -> MeshMonitor {
        let store = try store(transport)
        return try await MeshMonitor.start(
            store: store,
            saved: JetStreamStateStore(beside: store),
            verification: verification,
            logger: .disabled
        )
    }

    /// Connects and opens the stream, which must exist, for a command that works for the mesh until it is stopped.
    ///
    /// - Parameters:
    ///   - name: the name of the connection, for the server's reports.
    ///   - node: the node that emits.
    ///   - configuration: the configuration of the bus.
    /// - Throws: `CommandFailure` when there is no stream; as connecting and opening.
    func openStream(
        _ name: String,
        node: String,
        _ configuration: EventBus.Configuration
    ) async throws -> (NATSTransport, JetStreamStore, PersistentEventBus) {
        let transport = try await connect(name: name)
        let store = try store(transport)
        _ = try await StreamAbsence(self, transport).explained { try await store.state() }
        let bus = try await PersistentEventBus.open(
            transport: transport,
            store: store,
            node: node,
            configuration: try persistence(),
            busConfiguration: configuration,
            logger: .disabled
        )
        return (transport, store, bus)
    }

    /// The mesh as the stored events describe it; says how many events did not count.
    ///
    /// - Throws: `CommandFailure` when there is no stream, and what `MeshMonitor` throws.
    func mesh(_ transport: NATSTransport, _ verification: SignatureVerification?) async throws -> MeshState {
        let monitor = try await StreamAbsence(self, transport).explained {
            try await self.monitor(transport, verification)
        }
        defer {
            TrustOptions.reportRejected(monitor.rejected)
            monitor.close()
        }
        return monitor.state
    }
}
