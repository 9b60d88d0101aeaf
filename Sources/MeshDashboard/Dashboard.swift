import Hummingbird
public import Logging
public import MeshEvents
import MeshMonitoring
public import ServiceLifecycle

/// A web page with the state of the mesh and its events, and a JSON API, served over HTTP.
///
/// ```swift
/// let dashboard = try Dashboard(store: JetStreamStore(connection))
/// try await ServiceGroup(services: [dashboard], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
///
/// It reads the stream, and creates and changes nothing unless it is given a bus to emit on. All browsers share one
/// replay of the stream; the queue for each is bounded. While the server of the mesh cannot be reached, the page says
/// so; afterwards it goes on without a gap. While the mesh has no stream, the page shows the live events of `bus`, if
/// there is one, says that they are not kept, and switches to the stream as soon as there is one.
///
/// By default it listens on loopback; see ``Configuration``. It speaks HTTP, or with a certificate HTTPS: use that, or a
/// proxy in front, where others can read the traffic. With a token or users, everything except the page's own files needs a
/// login; a session ends at logout, when its user is gone, and at the end of the process. Connections without a login are limited, for each address and altogether; the
/// oldest is closed for a new one.
public final class Dashboard: Service {
    private let configuration: Configuration
    /// The metrics of the mesh, which the page answers at `/metrics` too. The dashboard runs it.
    public let metrics: MeshMetricsSource
    private let feed: EventFeed
    /// The source of live events while there is no stream; `nil` without a bus.
    private let live: LiveSource?
    private let mesh: MeshFollower
    /// Looks who keeps the state of the mesh; `nil` when it is saved nowhere.
    private let keeper: KeeperWatch?
    /// Reads what fires; `nil` when the state of the alerts is saved nowhere.
    private let alerts: AlertWatch?
    private let health: DashboardHealth
    private let routes: DashboardRoutes
    private let listener: HTTPListener

    /// Whether the state of the mesh comes from the stream.
    var followsMesh: Bool { mesh.isFollowing }

    /// Creates a dashboard; nothing listens before ``run()``.
    ///
    /// - Parameters:
    ///   - store: the store of the events; it need not have been opened, nor exist yet.
    ///   - saved: where a keeper saves the state of the mesh, so that the page knows what the stream has dropped, and
    ///     where the state of the alerts is saved, so that it shows what fires; `nil` for nowhere. With `verification`,
    ///     only what a node has signed counts that is trusted to keep the state.
    ///   - verification: checks the signatures of events; `nil` checks none. Each event is shown as signed, unsigned or
    ///     forged, or not at all when it is rejected. Only signed events change the state of nodes and tools.
    ///   - bus: receives events while there is no stream, as in a mesh whose nodes never created one; without it, the
    ///     page then only says that there is none. The caller keeps the bus; the dashboard emits nothing on it. Give it
    ///     the same verification, with the policy `accept` to show unsigned events. With `verification`, only events
    ///     that this bus has verified as signed change the state of nodes and tools.
    ///   - emitter: the bus on which `POST /api/events` emits, which then needs a login; `nil` to turn that off.
    ///   - logs: reads the logs of tools; `nil` for none.
    ///   - control: what `POST /api/tools` and the page's buttons control tools with, which then needs a login; `nil` to
    ///     turn that off.
    ///   - configuration: the address, access and limits.
    ///   - logger: logs errors.
    /// - Throws: `invalidArgument` when it would be open to other machines, emit or control tools without a login, or when
    ///   the token is too short.
    public convenience init(
        store: some EventStore,
        saved: (any StateStore)? = nil,
        verification: SignatureVerification? = nil,
        bus: EventBus? = nil,
        emitter: PersistentEventBus? = nil,
        logs: (any LogSource)? = nil,
        control: (any ToolController)? = nil,
        configuration: Configuration = Configuration(),
        logger: Logger = Logger(label: "mesh-events.dashboard")
    ) throws(MeshEventsError) {
        try self.init(
            store: store,
            saved: saved,
            verification: verification,
            bus: bus,
            emitter: emitter,
            logs: logs,
            control: control,
            configuration: configuration,
            times: ConnectionTimer.Limits(),
            backlog: StreamSession.maximumBacklog,
            logger: logger
        )
    }

    /// Creates a dashboard, with further parameters for tests.
    ///
    /// - Parameters:
    ///   - times: how long each phase of a connection may take.
    ///   - backlog: how many missed events are read for a browser that comes back.
    init(
        store: some EventStore,
        saved: (any StateStore)? = nil,
        verification: SignatureVerification?,
        bus: EventBus? = nil,
        emitter: PersistentEventBus?,
        logs: (any LogSource)? = nil,
        control: (any ToolController)? = nil,
        configuration: Configuration,
        times: ConnectionTimer.Limits,
        backlog: Int,
        logger: Logger
    ) throws(MeshEventsError) {
        let token: DashboardToken?
        if let secret = configuration.token { token = try DashboardToken(secret) } else { token = nil }
        let metricsLogin = try Login.metrics(configuration.metricsToken)
        let cookie = SessionCookie(isSecure: configuration.certificate != nil)
        let needsLogin = token != nil || configuration.users != nil
        let login = needsLogin ? Login(token: token, users: configuration.users ?? [], cookie: cookie) : nil
        guard login != nil || HTTPListener.isLoopback(configuration.host) else {
            throw MeshEventsError(
                .invalidArgument,
                "a dashboard on \(configuration.host) can be seen by others: give it a token or users, or listen on 127.0.0.1"
            )
        }
        guard login != nil || emitter == nil else {
            throw MeshEventsError(.invalidArgument, "a dashboard that can emit needs a token or users")
        }
        guard login != nil || control == nil else {
            throw MeshEventsError(.invalidArgument, "a dashboard that can control tools needs a token or users")
        }
        self.configuration = configuration
        let listener = HTTPListener(
            "the dashboard",
            host: configuration.host,
            port: configuration.port,
            needs: configuration.descriptors,
            times: times,
            certificate: configuration.certificate,
            logger: logger
        )
        self.listener = listener
        let counts = EventCounts(takesSignedOnly: verification != nil)
        let health = DashboardHealth()
        self.health = health
        let alerts = saved.map { table in
            AlertWatch(
                store: store,
                table: table,
                verification: MeshFollower.rejecting(verification),
                maximumBytes: min(AlertDigest.maximumBytes, configuration.bufferedBytes / 8),
                logger: logger
            )
        }
        self.alerts = alerts
        let feed = EventFeed(
            store: store,
            verification: verification,
            configuration: configuration,
            logger: logger,
            onAlerts: { alerts?.changed() },
            onEvent: counts.take
        ) { feed, source in
            if let notice = health.source(source) { feed.say(.notice(notice)) }
        }
        self.feed = feed
        let mesh = MeshFollower(
            store: store,
            saved: saved,
            verification: verification,
            // A notice has to fit into what may wait for a browser.
            maximumBytes: min(MeshDigest.maximumBytes, configuration.bufferedBytes / 2),
            logger: logger
        ) { [weak feed] problem in
            if let notice = health.mesh(problem) { feed?.say(.notice(notice)) }
        }
        self.mesh = mesh
        let keeper = saved.map { table in
            KeeperWatch(store: store, table: table, verification: mesh.verification, logger: logger)
        }
        self.keeper = keeper
        live = bus.map { LiveSource(bus: $0, store: store, mesh: mesh, takesSignedOnly: verification != nil) }
        let metrics = MeshMetricsSource(
            store: store,
            feed: feed,
            mesh: mesh,
            alerts: alerts,
            counts: counts,
            configuration: configuration.metrics,
            logger: logger
        )
        self.metrics = metrics
        routes = DashboardRoutes(
            store: store,
            history: EventHistory(store: store, verification: verification, logger: logger),
            feed: feed,
            mesh: mesh,
            keeper: keeper,
            alerts: alerts,
            health: health,
            metrics: metrics,
            emitter: emitter,
            logs: logs,
            control: control,
            login: login,
            cookie: cookie,
            metricsLogin: metricsLogin,
            page: PageFiles(directory: configuration.pageDirectory),
            marks: verification != nil,
            connections: listener.connections,
            backlog: backlog
        )
    }

    /// All routes of the router.
    var routeList: [AccessPolicy.Route] {
        routes.router(names: []).routes.map { AccessPolicy.Route($0.method.rawValue, $0.path.description) }
    }

    /// Replaces the users of the page. Sessions and streams of those who are gone, or whose role or token is another one, end.
    /// It does nothing when no login is needed.
    public func replace(users: [DashboardUser]) { routes.replace(users: users) }

    /// How many browsers receive the event stream.
    var clientCount: Int { feed.clientCount }

    /// How many connections are open.
    var connectionCount: Int { listener.connections.count }

    /// Tells browsers whether the connection to the mesh is up.
    ///
    /// The dashboard itself adds whether events from meanwhile are shown later or lost.
    ///
    /// - Parameter problem: why it is down, in a sentence; `nil` when it is up.
    public func connection(problem: String?) {
        guard let notice = health.connection(problem) else { return }
        feed.say(.notice(notice))
        if problem == nil { feed.missLive() }
    }

    /// Tells browsers that the mesh's server does not answer pings although the connection is up.
    ///
    /// - Parameter since: when the last data came; `nil` when data comes again.
    package func silence(since: Timestamp?) {
        guard let notice = health.silence(since) else { return }
        feed.say(.notice(notice))
    }

    /// Sets the function to call when the stream does not answer, with the reason, and with `nil` when it answers again.
    package func whenTroubled(_ tell: @escaping @Sendable (MeshEventsError?) -> Void) { feed.trouble.whenTold(tell) }

    /// How many events did not change the state of nodes and tools, because they are not signed by their node.
    public var rejected: UInt64 { mesh.rejected }

    /// Waits until it listens.
    ///
    /// - Returns: Its address, e.g. `http://127.0.0.1:8080/`; `https` with a certificate.
    /// - Throws: `timeout`.
    public func url(timeout: Duration = .seconds(10)) async throws(MeshEventsError) -> String {
        try await listener.url(timeout: timeout)
    }

    /// Listens until the task is cancelled or the service is shut down gracefully; for one call.
    ///
    /// - Throws: `invalidArgument` when it cannot listen on that address.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.feed.run(live: self.live) }
            group.addTask { await self.mesh.run(telling: self.feed) }
            if let keeper { group.addTask { await keeper.run(telling: self.feed) } }
            if let alerts { group.addTask { await alerts.run(telling: self.feed) } }
            group.addTask {
                while (try? await Task.sleep(for: StreamSession.tick)) != nil {
                    self.feed.say(.tick(.now, mesh: self.mesh.toldUntil))
                }
            }
            group.addTask { await self.metrics.watch() }
            group.addTask {
                try await self.listener.serve(self.routes.router(names: self.configuration.hostNames))
            }
            group.addTask {
                try? await gracefulShutdown()
                self.feed.end()
                self.listener.end()
            }
            defer {
                feed.end()
                group.cancelAll()
            }
            // The first task that ends, normally the server, ends all others.
            try await group.next()
        }
    }
}

extension Dashboard {
    /// A dashboard's address, access and limits.
    public struct Configuration: Sendable {
        /// The address to listen on: one of this machine, or `0.0.0.0` for all of them. Default: loopback only. Any
        /// other needs a ``token`` or ``users``.
        public var host: String
        /// The port, 0 for a free one. Default 8080.
        public var port: Int
        /// A secret for the login, at least 16 bytes: who has it may do all that the page can do. With neither it nor
        /// ``users``, every client that reaches the address has access.
        public var token: String?
        /// Those who log in with tokens of their own, and may do what their roles allow; `nil` for none. An empty list lets
        /// in only who has the ``token``.
        public var users: [DashboardUser]?
        /// What the page is served over HTTPS with; `nil` for HTTP. The caller runs it.
        public var certificate: ServerCertificate?
        /// A secret that gives access to `/metrics` alone, at least 16 bytes, for scrapers. `nil` for none: then `/metrics`
        /// needs what the rest of the page needs.
        public var metricsToken: String?
        /// The bounds of the metrics, and what of this process is in them.
        public var metrics: MeshMetricsSource.Configuration
        /// Host names that browsers may use in requests, besides addresses and `localhost`. Other names are refused,
        /// because their owner can point them anywhere (DNS rebinding).
        public var hostNames: [String]
        /// How many browsers may receive events at once, from 1. Default 64. With a login, further browsers are
        /// refused (`503 tooManyClients`). Without one, the oldest browser is ended with the server-sent event
        /// `closed`: any program that reaches the address could take all places, and must not keep them.
        public var maximumClients: Int
        /// How many events may wait for each browser, from 1. A slower browser is disconnected; it reconnects and reads
        /// the events it missed. Default 4 096.
        public var bufferedEvents: Int
        /// How many bytes may wait for each browser. Default 4 MiB.
        public var bufferedBytes: Int
        /// A directory to serve the page from instead of the built-in page: for developers of the page.
        public var pageDirectory: String?
        /// What this process needs its file descriptors for beside connections.
        package var descriptors = DescriptorNeeds()

        /// Creates a configuration; the default is loopback, port 8080, without a login, over HTTP.
        public init(
            host: String = "127.0.0.1",
            port: Int = 8080,
            token: String? = nil,
            users: [DashboardUser]? = nil,
            certificate: ServerCertificate? = nil,
            metricsToken: String? = nil,
            metrics: MeshMetricsSource.Configuration = .init(),
            hostNames: [String] = [],
            maximumClients: Int = 64,
            bufferedEvents: Int = 4_096,
            bufferedBytes: Int = 4 << 20,
            pageDirectory: String? = nil
        ) {
            self.host = host
            self.port = port
            self.token = token
            self.users = users
            self.certificate = certificate
            self.metricsToken = metricsToken
            self.metrics = metrics
            self.hostNames = hostNames
            self.maximumClients = max(1, maximumClients)
            self.bufferedEvents = max(1, bufferedEvents)
            self.bufferedBytes = max(1_024, bufferedBytes)
            self.pageDirectory = pageDirectory
        }
    }
}
