import ArgumentParser
import Foundation
import MeshConcurrency
import MeshDashboard
import MeshEvents
import MeshEventsNATS
import MeshMetrics
import NATSClient

/// `mesh-events dashboard`.
struct DashboardCommand: SignalHandlingCommand {
    static let configuration = CommandConfiguration(
        commandName: "dashboard",
        abstract: "Show the mesh and its events on a web page, live.",
        usage: """
            mesh-events dashboard [--listen HOST:PORT] [--users FILE] [--token-file FILE] [--https-cert FILE \
            --https-key FILE] [--allow-host NAME ...] [--trust FILE] [--allow-emit] [--allow-control] \
            [--metrics HOST:PORT] [--metrics-token-file FILE]
            """,
        discussion: """
            A web page with the status of nodes and tools, live and stored events, and the number of events by type \
            and time. It loads nothing from other servers. It reads the stream and creates and changes nothing, unless \
            --allow-emit or --allow-control is given. While the mesh has no stream, as one of Go nodes, it shows live events, which are \
            not stored; it switches to the stream as soon as there is one. `mesh-events serve --dashboard` has the \
            same page.

            ACCESS: without a login, every user who can reach 127.0.0.1 on this machine. To listen on another address, \
            give --users or a token, which the page then asks for: in a file that only you can read, or in \
            \(DashboardOptions.tokenVariable), never as an argument, which other users could see. Give the host name \
            that browsers use with --allow-host. Without that, only addresses and localhost are answered (DNS \
            rebinding). Make the token with `openssl rand`: the right one is always accepted. Answers to many wrong ones \
            are delayed or their connections closed, but that does not protect a short token. With a login, everything \
            except the page's own files, /api/openapi.json and /healthz needs it. It lasts 12 hours, until a logout, or \
            until the dashboard ends. It is a cookie, which browsers send to every port of the host name, and a key \
            that only this page can read. A server on another port that you visit gets the cookie, but cannot use it \
            alone.

            USERS: --users names a file with one user a line: a name, a role, and the SHA-256 hash of the user's token. \
            `mesh-events auth add DIR NAME --role ROLE --page` makes a token, and DIR/page.users. An observer sees the \
            mesh and its events; an operator reads logs too, and controls tools with --allow-control; an admin emits, \
            too, with --allow-emit. Who has the token of --token-file may do all of it. On SIGHUP the file is read \
            again: sessions of users who are gone end, and so do those whose role or token has changed.

            HTTPS: --https-cert and --https-key name a certificate with its authorities and its key, as certbot makes \
            them, or `mesh-events auth init DIR --https NAME` (DIR/page.pem and DIR/page.key; import DIR/ca.pem into the \
            browsers). It takes TLS 1.2 or newer, on the address of --metrics too. New files are read within seconds, \
            or on SIGHUP; those that cannot be used change nothing. The cookie is then marked Secure. Without these \
            options it speaks HTTP, and the cookie is not marked Secure, even behind a proxy with TLS.

            TOOLS: with --allow-control, operators, and who has the token, can start, stop and restart tools, by buttons on \
            the page or POST /api/tools. The login to the mesh must be one that may, such as an operator's or an admin's. The \
            node emits tool.controlled, with the page's user and session as the one who asked.

            SIGNATURES: with --trust each event is marked as signed by its node, unsigned, or forged; see `mesh-events \
            key`. The status of nodes and tools then comes from signed events alone; without --trust, from all events.

            PROGRAMS: GET /api/events, /api/export (CSV or NDJSON), /api/mesh, /api/histogram, /api/stream (server-sent \
            events) and, with --allow-emit, POST /api/events; /api/openapi.json describes them. They take the token as `Authorization: \
            Bearer TOKEN`. /healthz answers 200 while the connection to the mesh works, even without a stream, and 503 \
            otherwise: at once when the connection ends, after some 20 seconds when it stays up but no data \
            arrives or the stream does not answer, and while the status of nodes and tools cannot be read.

            METRICS: GET /metrics answers Prometheus: nodes and tools, their figures, the stream, events by type, and \
            the alerts that fire, as OpenMetrics text or the plain one. It needs what the page needs, or a token of \
            its own from --metrics-token-file, which opens nothing else. --metrics answers the same on another \
            address, and nothing else there.

            EXAMPLES
              mesh-events dashboard
              mesh-events dashboard --listen 127.0.0.1:9000 --nats nats://broker.local:4222
              (umask 077; openssl rand -hex 24 > token)
              mesh-events dashboard --listen 0.0.0.0:8080 --token-file token \\
                --allow-host pi.local
              mesh-events dashboard --listen 0.0.0.0:8443 --allow-host pi.local \\
                --users ~/mesh-auth/page.users \\
                --https-cert ~/mesh-auth/page.pem --https-key ~/mesh-auth/page.key
              curl -NH "Authorization: Bearer $(cat token)" http://pi.local:8080/api/stream
              curl -OJH "Authorization: Bearer $(cat token)" \\
                'http://pi.local:8080/api/export?format=csv&type=tool.crashed'
              mesh-events dashboard --token-file token --metrics 127.0.0.1:9464
            """
    )

    @Option(
        help: ArgumentHelp(
            "The page's address. Any address other than loopback needs a login. Default: 127.0.0.1:8080.",
            valueName: "host:port"
        )
    )
    var listen: String?

    @OptionGroup(title: "Page") var page: DashboardOptions
    @OptionGroup(title: "Metrics") var metrics: MetricsOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let listeners = metrics.address == nil ? 1 : 2
        try DescriptorLimit.require(
            DescriptorLimit.command + listeners * DescriptorLimit.page,
            for: "mesh-events dashboard"
        )
        let environment = ProcessInfo.processInfo.environment
        let access = try page.access()
        var configuration = try page.configuration(listen: listen, access, environment)
        configuration.metricsToken = try metrics.token(environment)
        let registry = MetricRegistry()
        configuration.metrics = try metrics.source(registry)
        let server = try metrics.server(access, environment)
        DashboardOptions.warn(configuration, needsLogin: connection.logsIn(environment))
        MetricsOptions.warn(server, needsLogin: connection.logsIn(environment))
        let verification = try page.verification()
        let node = try node.name(environment)
        let stop = StopRequest()
        let running = Locked<DashboardRun?>(nil)
        let onHangup: @Sendable () -> Void = { running.withLock { $0 }?.reload() }
        Signals.install(stop, onHangup: access.hasFiles ? onHangup : nil)
        _ = try await stop.race { [configuration] in
            let transport = try await connection.connect(name: "mesh-events dashboard")
            try await ConnectionReport(connection: transport.connection).during {
                let emitter =
                    page.allowsEmit
                    ? try await PersistentEventBus.open(
                        transport: transport,
                        node: node,
                        configuration: connection.persistence(),
                        busConfiguration: EventBus.Configuration(metrics: registry),
                        logger: .disabled
                    ) : nil
                let run = try DashboardRun(
                    configuration,
                    connection.store(transport),
                    transport,
                    access: access,
                    verification: verification,
                    emitter: emitter,
                    allowsControl: page.allowsControl,
                    metrics: server
                )
                running.withLock { $0 = run }
                try await run.run()
                await transport.close()
            }
        }
        Diagnostics.clearInterrupt()
    }
}

/// Runs a dashboard on a connection.
struct DashboardRun: Sendable {
    private let dashboard: Dashboard
    /// Answers the page's metrics on another address; `nil` for none.
    private let metrics: MetricsRun?
    private let connection: NATSConnection
    private let access: PageAccess

    /// Creates the dashboard.
    ///
    /// - Parameters:
    ///   - store: the store of the events to show.
    ///   - transport: the connection of that store; it receives events while there is no stream.
    ///   - access: the certificate and the users of the configuration.
    ///   - verification: checks signatures; `nil` checks none.
    ///   - emitter: the bus to emit on; `nil` for none.
    ///   - readsLogs: whether the connection may be one that reads logs.
    ///   - allowsControl: whether tools can be controlled over HTTP.
    ///   - metrics: another address for the metrics; `nil` for none.
    ///   - descriptors: what this process needs its file descriptors for beside connections.
    init(
        _ configuration: Dashboard.Configuration,
        _ store: JetStreamStore,
        _ transport: NATSTransport,
        access: PageAccess,
        verification: SignatureVerification?,
        emitter: PersistentEventBus?,
        readsLogs: Bool = true,
        allowsControl: Bool = false,
        metrics: MetricsServer.Configuration? = nil,
        descriptors: DescriptorNeeds = DescriptorNeeds(say: { Diagnostics.say($0) })
    ) throws {
        var (configuration, metrics) = (configuration, metrics)
        configuration.descriptors = descriptors
        metrics?.descriptors = descriptors
        let dashboard = try Dashboard(
            store: store,
            saved: JetStreamStateStore(beside: store),
            verification: verification,
            // Not the emitter's: that one checks no signatures, or drops what is not signed.
            bus: EventBus.listening(on: transport, verification: verification),
            emitter: emitter,
            logs: readsLogs ? PageLogs(connection: transport.connection) : nil,
            control: allowsControl ? PageControl(connection: transport.connection) : nil,
            configuration: configuration,
            logger: .disabled
        )
        self.dashboard = dashboard
        self.metrics = try metrics.map { try MetricsRun($0, dashboard) }
        connection = transport.connection
        self.access = access
        dashboard.whenTroubled(TroubleReport(missing: "the page shows events from meanwhile afterwards").tell)
    }

    /// Runs the dashboard and prints its URL; it ends with the task.
    ///
    /// - Throws: when it cannot listen.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await dashboard.run() }
            if let certificate = access.certificate { group.addTask { await certificate.run() } }
            if let metrics { group.addTask { try await metrics.run() } }
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

    /// Reads the certificate and the users again.
    func reload() { access.reload(dashboard) }

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

/// Detects a silent server: the connection is up, but no data has come for a while although the server was pinged. The
/// connection itself detects this only after minutes, because a slow line does not count as lost.
struct SilenceWatch: Sendable {
    let connection: NATSConnection
    /// The time between two checks; when no data has come between them, the server is pinged.
    var interval: Duration = .seconds(5)
    /// How long no data may come.
    var patience: Duration = .seconds(15)

    /// Watches until the task is cancelled.
    ///
    /// - Parameter tell: is called with the time of the last data when the server is silent, and with `nil` when data
    ///   comes again.
    func run(_ tell: (Timestamp?) -> Void) async {
        var known = connection.receivedBytes
        var heard = (at: ContinuousClock.now, time: Timestamp.now)
        var (isAsked, isTold) = (false, false)
        while (try? await Task.sleep(for: interval)) != nil {
            let received = connection.receivedBytes
            if received != known {
                (known, heard, isAsked) = (received, (.now, .now), false)
                if isTold { tell(nil) }
                isTold = false
            } else if !isAsked {
                isAsked = true
                // Any data counts as an answer, so the result is not used. Without an answer, another ping is useless.
                try? await connection.roundTrip(silence: interval)
            } else if !isTold, .now - heard.at >= patience {
                isTold = true
                tell(heard.time)
            }
        }
    }
}
