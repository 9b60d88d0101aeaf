import MeshDashboard
import MeshEvents
import MeshEventsNATS
import NATSClient

/// A dashboard on a connection, for as long as the task runs.
struct DashboardRun: Sendable {
    private let dashboard: Dashboard
    private let connection: NATSConnection

    /// - Parameters:
    ///   - store: the events to show.
    ///   - transport: the connection of that store, on which events are heard while there is no stream.
    ///   - verification: looks at signatures; `nil` for nobody.
    ///   - emitter: the bus to emit on; `nil` for none.
    init(
        _ configuration: Dashboard.Configuration,
        _ store: JetStreamStore,
        _ transport: NATSTransport,
        verification: SignatureVerification?,
        emitter: PersistentEventBus?
    ) throws {
        dashboard = try Dashboard(
            store: store,
            verification: verification,
            bus: EventBus.listening(on: transport, verification: verification),
            emitter: emitter,
            configuration: configuration,
            logger: Silence.logger
        )
        connection = transport.connection
    }

    /// Runs it, and says where it is reached; it ends with the task.
    ///
    /// - Throws: when it cannot listen.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await dashboard.run() }
            group.addTask {
                guard let url = try? await dashboard.url() else { return }
                Diagnostics.say("the dashboard is at \(url)")
                await watchConnection()
            }
            group.addTask { await SilenceWatch(connection: connection).run { dashboard.silence(since: $0) } }
            defer {
                group.cancelAll()
                TrustOptions.reportRejected(dashboard.rejected)
            }
            try await group.next()
        }
    }

    private func watchConnection() async {
        for await status in connection.statusUpdates() {
            switch status {
            case .disconnected(let reason, _):
                dashboard.connection(problem: "The connection to the mesh is lost (\(reason.message)).")
            case .connected, .reconnected: dashboard.connection(problem: nil)
            default: continue
            }
        }
    }
}
