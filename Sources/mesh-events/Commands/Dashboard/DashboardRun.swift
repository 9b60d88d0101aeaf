import MeshDashboard
import MeshEvents
import MeshEventsNATS
import NATSClient

/// Runs a dashboard on a connection.
struct DashboardRun: Sendable {
    private let dashboard: Dashboard
    private let connection: NATSConnection

    /// Creates the dashboard.
    ///
    /// - Parameters:
    ///   - store: the store of the events to show.
    ///   - transport: the connection of that store; it receives events while there is no stream.
    ///   - verification: checks signatures; `nil` checks none.
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

    /// Runs the dashboard and prints its URL; it ends with the task.
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
