import MeshConcurrency
import MeshDashboard
import MeshEvents
import MeshEventsNATS

/// Answers metrics on an address of their own.
struct MetricsRun: Sendable {
    private let server: MetricsServer
    /// What it answers, when nothing else runs it.
    private let source: MeshMetricsSource?
    /// The certificate, when nothing else runs it.
    private let access: PageAccess?

    /// Answers what a page knows.
    init(_ configuration: MetricsServer.Configuration, _ dashboard: Dashboard) throws {
        server = try MetricsServer(dashboard.metrics, configuration: configuration, logger: .disabled)
        source = nil
        access = nil
    }

    /// Answers what it reads itself.
    ///
    /// - Parameters:
    ///   - access: the certificate of the configuration.
    ///   - store: the store of the events.
    ///   - transport: the connection of that store; it receives events while there is no stream.
    ///   - verification: checks signatures; `nil` checks none.
    ///   - descriptors: what this process needs its file descriptors for beside connections.
    init(
        _ configuration: MetricsServer.Configuration,
        _ bounds: MeshMetricsSource.Configuration,
        access: PageAccess,
        _ store: JetStreamStore,
        _ transport: NATSTransport,
        verification: SignatureVerification?,
        descriptors: DescriptorNeeds
    ) throws {
        var configuration = configuration
        configuration.descriptors = descriptors
        let source = MeshMetricsSource(
            store: store,
            saved: JetStreamStateStore(beside: store),
            verification: verification,
            bus: EventBus.listening(on: transport, verification: verification),
            configuration: bounds,
            logger: .disabled
        )
        server = try MetricsServer(source, configuration: configuration, logger: .disabled)
        self.source = source
        self.access = access
    }

    /// Reads the certificate again, when nothing else does.
    func reload() { access?.reload(nil) }

    /// Answers, and prints its URL; it ends with the task.
    ///
    /// - Throws: when it cannot listen.
    func run() async throws {
        try await withBackgroundTask {
            await access?.certificate?.run()
        } _: {
            try await withBackgroundTask {
                if let url = try? await server.url() { Diagnostics.say("the metrics are at \(url)") }
                await source?.run()
            } _: {
                try await server.run()
            }
        }
    }
}
