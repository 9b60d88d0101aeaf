import Hummingbird
import HummingbirdCore
import Locking
public import Logging
public import MeshEvents
import MeshLifecycle
import NIOCore
public import ServiceLifecycle

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A page that shows the mesh as it is and its events as they come, and the JSON it is made of, over HTTP.
///
/// ```swift
/// let dashboard = try Dashboard(store: JetStreamStore(connection))
/// try await ServiceGroup(services: [dashboard], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
///
/// It reads the stream, and creates and changes nothing unless it is given a bus to emit on. All browsers share one
/// replay of the stream; what waits for each is bounded. While the server of the mesh cannot be reached, the page says
/// so and goes on afterwards, without a gap. While the mesh keeps no stream, it shows what comes on `bus`, if it has
/// one, says that none of that is kept, and goes over to the stream as soon as there is one.
///
/// It listens on loopback unless told otherwise; see ``Configuration``. It speaks HTTP without TLS: put a proxy in
/// front where others can listen. With a token, everything but the page's own files needs a login; logging out, and the
/// end of the process, end a session. Connections that have not logged in are limited, for each address and altogether,
/// and make room for new ones.
public final class Dashboard: Service {
    /// How long connections may take to end before they are closed.
    private static let grace: TimeAmount = .seconds(2)

    private let configuration: Configuration
    private let logger: Logger
    private let feed: EventFeed
    /// `nil` when nothing is shown without a stream.
    private let live: LiveSource?
    private let mesh: MeshFollower
    private let health: DashboardHealth
    private let routes: DashboardRoutes
    private let connections = ConnectionTable()
    private let times: ConnectionTimer.Limits
    private let address = Locked<String?>(nil)
    private let listening = Completion()

    /// Whether it knows the mesh by the stream.
    var followsMesh: Bool { mesh.isFollowing }

    /// Creates a dashboard; nothing listens before ``run()``.
    ///
    /// - Parameters:
    ///   - store: where the events are; it need not have been opened, nor exist yet.
    ///   - verification: looks at the signatures of events; each is then shown as signed, unsigned or forged, or not
    ///     shown when it is rejected. How nodes and tools are is taken from signed events alone. Nobody looks when
    ///     `nil`.
    ///   - bus: where to hear events while there is no stream, as in a mesh of nodes that never asked for one; without
    ///     it the page then says only that there is none. It stays the caller's, and nothing is emitted on it. Give it
    ///     the same verification, with the policy `accept` where what is not signed is to be shown: where
    ///     `verification` is given, events that this bus has not found to be signed do not tell how nodes and tools
    ///     are.
    ///   - emitter: the bus on which `POST /api/events` emits, which then needs a token; `nil` for none of that.
    ///   - configuration: where, for whom, how much.
    ///   - logger: hears of what goes wrong.
    /// - Throws: `invalidArgument` when it would be open to everybody, or the token is too short.
    public convenience init(
        store: some EventStore,
        verification: SignatureVerification? = nil,
        bus: EventBus? = nil,
        emitter: PersistentEventBus? = nil,
        configuration: Configuration = Configuration(),
        logger: Logger = Logger(label: "mesh-events.dashboard")
    ) throws(MeshEventsError) {
        try self.init(
            store: store,
            verification: verification,
            bus: bus,
            emitter: emitter,
            configuration: configuration,
            times: ConnectionTimer.Limits(),
            backlog: StreamSession.maximumBacklog,
            logger: logger
        )
    }

    /// - Parameters:
    ///   - times: how long connections may take over what.
    ///   - backlog: how many missed events a browser is sent.
    init(
        store: some EventStore,
        verification: SignatureVerification?,
        bus: EventBus? = nil,
        emitter: PersistentEventBus?,
        configuration: Configuration,
        times: ConnectionTimer.Limits,
        backlog: Int,
        logger: Logger
    ) throws(MeshEventsError) {
        let token: DashboardToken?
        if let secret = configuration.token { token = try DashboardToken(secret) } else { token = nil }
        guard token != nil || HostPort(configuration.urlHost)?.isLoopback == true else {
            throw MeshEventsError(
                .invalidArgument,
                "a dashboard on \(configuration.host) can be seen by others: give it a token, or listen on 127.0.0.1"
            )
        }
        guard token != nil || emitter == nil else {
            throw MeshEventsError(.invalidArgument, "a dashboard that can emit needs a token")
        }
        self.configuration = configuration
        self.times = times
        self.logger = logger
        let gate = QueryGate()
        let health = DashboardHealth()
        self.health = health
        feed = EventFeed(
            store: store,
            verification: verification,
            gate: gate,
            configuration: configuration,
            logger: logger
        ) { feed, source in
            if let notice = health.source(source) { feed.say(.notice(notice)) }
        }
        let mesh = MeshFollower(
            store: store,
            verification: verification,
            // A notice has to fit into what may wait for a browser.
            maximumBytes: min(MeshDigest.maximumBytes, configuration.bufferedBytes / 2),
            logger: logger
        )
        self.mesh = mesh
        live = bus.map { LiveSource(bus: $0, store: store, mesh: mesh, takesSignedOnly: verification != nil) }
        routes = DashboardRoutes(
            store: store,
            history: EventHistory(store: store, verification: verification, logger: logger),
            gate: gate,
            feed: feed,
            mesh: mesh,
            health: health,
            emitter: emitter,
            login: token.map { Login(token: $0) },
            page: PageFiles(directory: configuration.pageDirectory),
            connections: connections,
            backlog: backlog
        )
    }

    /// Every route there is, as the router knows it.
    var routeList: [AccessPolicy.Route] {
        routes.router(names: []).routes.map { AccessPolicy.Route($0.method.rawValue, $0.path.description) }
    }

    /// How many browsers listen.
    var clientCount: Int { feed.clientCount }

    /// How many connections are open.
    var connectionCount: Int { connections.count }

    /// Tells browsers whether the connection to the mesh is there.
    ///
    /// What becomes of events meanwhile it adds by itself.
    ///
    /// - Parameter problem: why it is not, in a sentence; `nil` when it is.
    public func connection(problem: String?) {
        guard let notice = health.connection(problem) else { return }
        feed.say(.notice(notice))
        if problem == nil { feed.missLive() }
    }

    /// Tells browsers that nothing comes from the mesh's server, although the connection is there and it was asked.
    ///
    /// - Parameter since: when something came last; `nil` when something comes again.
    package func silence(since: Timestamp?) {
        guard let notice = health.silence(since) else { return }
        feed.say(.notice(notice))
    }

    /// How many events did not change how nodes and tools are shown, because they are not signed by their node.
    public var rejected: UInt64 { mesh.rejected }

    /// Waits until it listens.
    ///
    /// - Returns: Its address, e.g. `http://127.0.0.1:8080/`.
    /// - Throws: `timeout`.
    public func url(timeout: Duration = .seconds(10)) async throws(MeshEventsError) -> String {
        try await listening.wait(until: .now + timeout, for: "the dashboard to listen")
        return address.withLock { $0 } ?? ""
    }

    /// Listens until the task is cancelled or the service is shut down gracefully; for one call.
    ///
    /// - Throws: `invalidArgument` when it cannot listen on that address.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.feed.run(live: self.live) }
            group.addTask { await self.mesh.run(telling: self.feed) }
            group.addTask {
                while (try? await Task.sleep(for: StreamSession.tick)) != nil {
                    self.feed.say(.tick(.now, mesh: self.mesh.toldUntil))
                }
            }
            group.addTask { try await self.serve() }
            group.addTask {
                try? await gracefulShutdown()
                self.feed.end()
                self.connections.end(within: Self.grace)
            }
            defer {
                feed.end()
                group.cancelAll()
            }
            // The server's end is the end; the others go on until they are told, but for an end of the service itself.
            try await group.next()
        }
    }

    private func serve() async throws {
        let application = Application(
            router: routes.router(names: configuration.hostNames),
            server: HTTPServerBuilder { [connections, times] responder in
                LimitedHTTP1Channel(responder: responder, connections: connections, times: times)
            },
            configuration: .init(address: .hostname(configuration.host, port: configuration.port)),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? self.configuration.port
                self.address.withLock { $0 = "http://\(self.configuration.urlHost):\(port)/" }
                self.listening.complete()
            },
            logger: logger
        )
        do {
            // A client that does not read, or is in the middle of a request, would keep the server from its end.
            try await withTaskCancellationHandler {
                try await application.run()
            } onCancel: {
                connections.end(within: Self.grace)
            }
        } catch let error as IOError {
            throw MeshEventsError(
                .invalidArgument,
                "the dashboard cannot listen on \(configuration.urlHost):\(configuration.port) (\(error.reasonText)); "
                    + "choose another address",
                underlying: error
            )
        }
    }
}

extension Dashboard.Configuration {
    /// The host as it stands in a URL.
    var urlHost: String { host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host }
}

extension IOError {
    fileprivate var reasonText: String { String(cString: strerror(errnoCode)) }
}
