import LocalNATSServer
import MeshAuth
import MeshDashboard
import MeshEvents
import MeshEventsNATS
import MeshSupervision
import NATSClient

/// A node in the mesh, from joining to leaving.
struct NodeSession: Sendable {
    /// Below this much free space for its events a node is degraded.
    private static let minimumFreeMB = 512

    /// How long storing node.joined or node.left may take.
    private static let acknowledgementDeadline: Duration = .seconds(10)

    private let server: LocalNATSServer?
    private let access: ServeAccess?
    private let transport: NATSTransport
    private let persistent: PersistentEventBus
    /// The events to print; they have a bus of their own, which reports malformed messages.
    private let events: EventSubscription
    private let malformed: MalformedReport
    private let node: MeshNode
    private let tools: NodeTools
    private let dashboard: DashboardRun?

    /// Starts the local server if there is one, connects, opens the stream and subscribes. When it throws, it has
    /// stopped the server again.
    static func start(_ plan: Plan) async throws -> NodeSession {
        guard let configuration = plan.localServer else { return try await join(plan, server: nil) }
        let server = try await LocalNATSServer.start(configuration)
        do {
            return try await join(plan, server: server)
        } catch {
            await server.stop()
            throw error
        }
    }

    private static func join(_ plan: Plan, server: LocalNATSServer?) async throws -> NodeSession {
        if let server { try await plan.access?.createStream(server, plan.connection) }
        let transport = try await plan.connection.connect(
            to: server?.url ?? plan.servers,
            name: "mesh-events serve \(plan.node)"
        )
        let persistent = try await PersistentEventBus.open(
            transport: transport,
            node: plan.node,
            configuration: try plan.connection.persistence(acknowledgementDeadline: acknowledgementDeadline),
            busConfiguration: plan.busConfiguration,
            logger: Silence.logger
        )
        let malformed = MalformedReport()
        let bus = EventBus(
            transport: transport,
            node: plan.node,
            configuration: EventBus.Configuration(
                onMalformed: { malformed.report($0) },
                verification: plan.verification
            ),
            logger: Silence.logger
        )
        let node = node(plan, persistent, transport, server)
        let url = server?.url ?? plan.servers ?? plan.connection.serversOrDefault
        let session = NodeSession(
            server: server,
            access: plan.access,
            transport: transport,
            persistent: persistent,
            events: try await bus.subscribe(buffer: LiveEvents.buffer),
            malformed: malformed,
            node: node,
            tools: NodeTools(
                environment: ToolEnvironment(
                    url: ToolURL.make(servers: url, login: plan.toolLogin, keepsLogin: !plan.toolsHaveKey),
                    node: plan.node,
                    extra: plan.toolVariables
                ),
                manifest: plan.manifest,
                planned: plan.toolCount,
                connection: transport.connection,
                node: node
            ),
            dashboard: try plan.dashboard.map {
                try DashboardRun(
                    $0,
                    plan.connection.store(transport),
                    transport,
                    verification: plan.verification,
                    emitter: plan.dashboardEmits ? persistent : nil
                )
            }
        )
        await ServeAnnouncement(server: server, access: plan.access, transport: transport, persistent: persistent).say()
        return session
    }

    private static func node(
        _ plan: Plan,
        _ persistent: PersistentEventBus,
        _ transport: NATSTransport,
        _ server: LocalNATSServer?
    ) -> MeshNode {
        let node = MeshNode(
            bus: persistent,
            configuration: MeshNode.Configuration(
                interval: plan.healthInterval,
                version: "mesh-events \(PackageVersion.current)",
                storePath: server?.storeDirectory ?? "/",
                leaveTimeout: acknowledgementDeadline
            ),
            logger: ToolLog.logger
        )
        if let server { node.register(.freeDisk(at: server.storeDirectory, minimumMB: minimumFreeMB)) }
        return node
    }

    /// Reads the users and the manifest again, if there are any.
    func reload() {
        if let server { access?.reload(server) }
        tools.reload()
    }

    /// Joins the mesh, runs the tools and prints events until `stop` is requested; then stops the tools and leaves.
    func run(_ stop: StopRequest, _ printer: EventPrinter) async throws {
        let report = Task { await ConnectionReport(connection: transport.connection).run() }
        let supervision = Task { await LocalServerSupervision(server: server, stop: stop).run() }
        let printing = Task { await show(stop, printer) }
        let page = Task {
            do {
                try await dashboard?.run()
            } catch {
                stop.stop(.failed(CommandFailure(describing: error)))
            }
        }
        let running = Task {
            do {
                try await node.run()
            } catch {
                stop.stop(.failed(CommandFailure(describing: error).prefixed("the node cannot go on: ")))
                throw error
            }
        }
        var failure: CommandFailure?
        do {
            _ = try await stop.race { try await node.waitUntilJoined(timeout: Self.acknowledgementDeadline) }
            let working = Task { await tools.run() }
            if case .failed(let reason) = await stop.wait() { failure = reason }
            Diagnostics.clearInterrupt()
            working.cancel()
            await tools.shutdown()
            await working.value
        } catch {
            failure = CommandFailure(describing: error).prefixed("the node cannot be announced: ")
        }
        supervision.cancel()
        page.cancel()
        if failure == nil {
            node.leave(reason: "shutdown")
            do {
                try await running.value
            } catch {
                failure = CommandFailure(describing: error).prefixed("the last events could not be stored: ")
            }
        } else {
            // Without a server, the node cannot announce that it leaves.
            running.cancel()
        }
        // Prints the last events too, node.left included.
        try? await events.drain(timeout: .seconds(2))
        await printing.value
        await page.value
        malformed.finish()
        report.cancel()
        await transport.close()
        await server?.stop()
        if let failure { throw failure }
    }

    private func show(_ stop: StopRequest, _ printer: EventPrinter) async {
        var printer = printer
        do {
            var shown = LiveEvents(events)
            try await shown.print(with: &printer)
        } catch is OutputClosed {
            stop.stop(.outputClosed)
        } catch {
            stop.stop(.failed(CommandFailure(describing: error)))
        }
        // The drain must end even when standard output has no reader any more.
        events.cancel()
    }
}

extension NodeSession {
    /// The configuration of a node session.
    struct Plan: Sendable {
        let node: String
        let connection: ConnectionOptions
        /// The local server; `nil` when the connection names another.
        let localServer: LocalNATSServer.Configuration?
        /// Who may use the local server; `nil` for every client that reaches it.
        let access: ServeAccess?
        /// The servers of the manifest, when neither the option nor the environment names one.
        var servers: String?
        /// The manifest with the tools; `nil` for none.
        let manifest: ManifestFile?
        /// The number of tools in the manifest.
        let toolCount: Int
        /// The time between two health events of the node.
        let healthInterval: Duration
        /// Environment variables for every tool, except for the server's URL.
        let toolVariables: [String: String]
        /// Whether tools have a key of their own: then they do not get the node's login.
        let toolsHaveKey: Bool
        /// The user and password, or the token, with which tools log in; `nil` when they use neither.
        let toolLogin: [String]?
        /// The configuration of the node's bus, such as its signing key.
        let busConfiguration: EventBus.Configuration
        /// The dashboard's configuration; `nil` for none.
        let dashboard: Dashboard.Configuration?
        /// The check of signatures for the page and the printed events; `nil` for none.
        let verification: SignatureVerification?
        /// Whether events can be emitted over HTTP.
        let dashboardEmits: Bool
    }
}

/// Prints how the mesh of a node that has joined can be reached.
private struct ServeAnnouncement {
    let server: LocalNATSServer?
    let access: ServeAccess?
    let transport: NATSTransport
    let persistent: PersistentEventBus

    func say() async {
        let node = persistent.node.debugDescription
        if let server {
            Diagnostics.say(
                "node \(node) listens on \(server.url) (nats-server \(server.version), events in \(server.storeDirectory))"
            )
            sayWhoReaches(server)
        } else {
            let address = await transport.connection.currentAddress?.description ?? "a server"
            Diagnostics.say("node \(node) is in the mesh of \(address)")
        }
        let differences = persistent.opening.differences
        guard !differences.isEmpty else { return }
        let list = differences.map(\.description).joined(separator: "; ")
        Diagnostics.say(
            "the stream \(persistent.configuration.streamName) exists with another configuration and is used unchanged: \(list)"
        )
    }

    private func sayWhoReaches(_ server: LocalNATSServer) {
        let host = server.configuration.host
        if LoopbackAddress.isOpen(host) {
            let who =
                access == nil
                ? "and every client that reaches it may read and emit everything; restrict that with --auth"
                : "and accepts only users of `mesh-events auth`"
            Diagnostics.say("it listens on \(host), for other machines too, \(who)")
        }
        if access != nil, !AuthDirectory.isHeld(byServer: server.version) {
            Diagnostics.say(
                "nats-server \(server.version) lets every user who may emit, a tool too, empty the stream; take 2.12 or newer"
            )
        }
        var variables: [String] = []
        if server.url != ConnectionOptions.defaultURL { variables.append("JB_NATS_URL=\(server.url)") }
        if let directory = access?.directory {
            let key = directory.user(.admin).map { directory.seedFile(of: $0.name) } ?? "YOUR-KEY.nk"
            variables += ["MESH_EVENTS_NKEY=\(key)", "MESH_EVENTS_TLS_CA=\(directory.authorityFile)"]
        }
        if !variables.isEmpty { Diagnostics.say("in other terminals: export \(variables.joined(separator: " "))") }
    }
}
