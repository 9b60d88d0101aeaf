import Hummingbird
public import Logging
public import MeshEvents
public import ServiceLifecycle

/// Answers `GET /metrics` to scrapers such as Prometheus, on an address of its own; see ``MeshMetricsSource``.
///
/// By default it listens on loopback; see ``Configuration``. With a certificate it speaks HTTPS. Its connections are limited as
/// the page's are: a scraper that hangs, or takes nothing, keeps no other client waiting, and is closed after some seconds.
public final class MetricsServer: Service {
    /// The address, and who may ask.
    public struct Configuration: Sendable {
        /// The address to listen on: one of this machine, or `0.0.0.0` for all of them. Default: loopback only. Any
        /// other needs a ``token``.
        public var host: String
        /// The port, 0 for a free one. Default 9464.
        public var port: Int
        /// What clients send as `Authorization: Bearer TOKEN`, at least 16 bytes; `nil` answers every client that reaches
        /// the address.
        public var token: String?
        /// What this process needs its file descriptors for beside connections.
        package var descriptors = DescriptorNeeds()
        /// What it serves HTTPS with; `nil` for HTTP. The caller runs it.
        public var certificate: ServerCertificate?

        /// Creates a configuration; the default is loopback, port 9464, without a token, over HTTP.
        public init(
            host: String = "127.0.0.1",
            port: Int = 9464,
            token: String? = nil,
            certificate: ServerCertificate? = nil
        ) {
            self.host = host
            self.port = port
            self.token = token
            self.certificate = certificate
        }
    }

    private let listener: HTTPListener
    private let source: MeshMetricsSource
    private let login: Login?
    private let isSecure: Bool

    /// Creates a server; nothing listens before ``run()``.
    ///
    /// - Parameters:
    ///   - source: what it answers. The caller runs it.
    ///   - configuration: the address, and who may ask.
    ///   - logger: logs errors.
    /// - Throws: `invalidArgument` when it would be open to other machines without a token, or when the token is too short.
    public convenience init(
        _ source: MeshMetricsSource,
        configuration: Configuration = Configuration(),
        logger: Logger = Logger(label: "mesh-events.metrics")
    ) throws(MeshEventsError) {
        try self.init(source, configuration: configuration, times: ConnectionTimer.Limits(), logger: logger)
    }

    /// Creates a server, with a parameter for tests: how long each phase of a connection may take.
    init(
        _ source: MeshMetricsSource,
        configuration: Configuration,
        times: ConnectionTimer.Limits,
        logger: Logger
    ) throws(MeshEventsError) {
        login = try Login.metrics(configuration.token)
        guard login != nil || HTTPListener.isLoopback(configuration.host) else {
            throw MeshEventsError(
                .invalidArgument,
                "metrics on \(configuration.host) can be read by others: give them a token, or listen on 127.0.0.1"
            )
        }
        self.source = source
        isSecure = configuration.certificate != nil
        listener = HTTPListener(
            "the server of metrics",
            host: configuration.host,
            port: configuration.port,
            needs: configuration.descriptors,
            times: times,
            certificate: configuration.certificate,
            logger: logger
        )
    }

    /// How many connections are open.
    var connectionCount: Int { listener.connections.count }

    /// Waits until it listens.
    ///
    /// - Returns: The URL of the metrics, e.g. `http://127.0.0.1:9464/metrics`; `https` with a certificate.
    /// - Throws: `timeout`.
    public func url(timeout: Duration = .seconds(10)) async throws(MeshEventsError) -> String {
        try await listener.url(timeout: timeout) + "metrics"
    }

    /// Listens until the task is cancelled or the service is shut down gracefully; for one call.
    ///
    /// - Throws: `invalidArgument` when it cannot listen on that address.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.listener.serve(self.router()) }
            group.addTask {
                try? await gracefulShutdown()
                self.listener.end()
            }
            defer { group.cancelAll() }
            // The first task that ends, normally the server, ends the other.
            try await group.next()
        }
    }

    private func router() -> Router<DashboardContext> {
        let access = AccessMiddleware(
            server: .metrics,
            policy: AccessPolicy(names: [], isSecure: isSecure),
            login: login,
            metricsLogin: login,
            connections: listener.connections
        )
        let router = Router(context: DashboardContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: access)
        router.get("/metrics") { [source] request, _ in try await source.response(to: request) }
        return router
    }
}
