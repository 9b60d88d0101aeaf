import LocalNATSServer
import MeshAuth
import MeshDashboard
import MeshEvents
import MeshEventsNATS
import MeshMonitoring
import MeshSupervision
import NATSClient
import ServiceLifecycle

/// A node in the mesh, from joining to leaving.
struct NodeSession: Sendable {
    /// Below this much free space for its events a node is degraded.
    private static let minimumFreeMB = 512

    /// How long storing node.joined or node.left may take.
    private static let acknowledgementDeadline: Duration = .seconds(10)

    private let server: NodeServer?
    private let transport: NATSTransport
    private let printing: EventPrinting
    private let node: MeshNode
    private let tools: NodeTools
    private let page: DashboardRun?
    /// The metrics of a node without a page.
    private let metrics: MetricsRun?
    private let keeper: MeshKeeper?
    private let alerts: AlertPart?
    private let manager: ServiceManager

    /// Starts the local server if there is one, connects, opens the stream and subscribes. When it throws, it has
    /// stopped the server again.
    static func start(_ plan: Plan) async throws -> NodeSession {
        switch plan.server {
        case .named(let addresses):
            return try await join(plan, at: addresses, server: nil)
        case .local(let configuration, let access):
            let server = NodeServer(process: try await LocalNATSServer.start(configuration), access: access)
            do {
                try await access?.createStream(server.process, plan.connection, archives: plan.archives)
                return try await join(plan, at: server.process.url, server: server)
            } catch {
                await server.process.stop()
                throw error
            }
        }
    }

    private static func join(_ plan: Plan, at addresses: String, server: NodeServer?) async throws -> NodeSession {
        let transport = try await plan.connection.connect(to: addresses, name: "mesh-events serve \(plan.node)")
        let persistent = try await PersistentEventBus.open(
            transport: transport,
            node: plan.node,
            configuration: try plan.connection.persistence(
                acknowledgementDeadline: acknowledgementDeadline,
                archive: plan.archives ? .always : nil
            ),
            busConfiguration: plan.busConfiguration,
            logger: .disabled
        )
        let store = try plan.connection.store(transport)
        let manifest = await plan.manifest?.present
        let logs = ToolLogs(directory: plan.logDirectory, node: plan.node, logger: ToolLog.logger)
        Diagnostics.copyMessages { logs.append($0) }
        let node = MeshNode(
            bus: persistent,
            configuration: MeshNode.Configuration(
                interval: manifest?.healthInterval ?? .seconds(10),
                version: "mesh-events \(PackageVersion.current)",
                storePath: server?.process.storeDirectory ?? "/",
                leaveTimeout: acknowledgementDeadline,
                gpus: GPUSampler(logger: ToolLog.logger)
            ),
            logger: ToolLog.logger
        )
        if let path = server?.process.storeDirectory {
            node.register(.freeDisk(at: path, minimumMB: minimumFreeMB))
        }
        let tools = NodeTools(
            environment: ToolEnvironment(
                url: plan.toolLogin.url(at: addresses),
                node: plan.node,
                extra: plan.toolVariables
            ),
            manifest: plan.manifest,
            planned: manifest?.tools.count ?? 0,
            connection: transport.connection,
            node: node,
            logs: logs,
            manager: plan.manager,
            installation: plan.installation
        )
        let descriptors = DescriptorNeeds(kept: { tools.keptDescriptors }, say: { Diagnostics.say($0) })
        let session = NodeSession(
            server: server,
            transport: transport,
            printing: try await EventPrinting(transport, plan.verification),
            node: node,
            tools: tools,
            page: try plan.page.map { page in
                try DashboardRun(
                    page.configuration,
                    store,
                    transport,
                    access: plan.access,
                    verification: plan.verification,
                    emitter: page.allowsEmit ? persistent : nil,
                    // A node's own user may not read logs.
                    readsLogs: server?.access == nil,
                    allowsControl: page.allowsControl,
                    metrics: plan.metrics?.server,
                    descriptors: descriptors
                )
            },
            metrics: try plan.page == nil
                ? plan.metrics.map { metrics in
                    try MetricsRun(
                        metrics.server,
                        metrics.bounds,
                        access: plan.access,
                        store,
                        transport,
                        verification: plan.verification,
                        descriptors: descriptors
                    )
                } : nil,
            keeper: plan.keeps
                ? MeshKeeper(
                    bus: persistent,
                    store: store,
                    table: JetStreamStateStore(beside: store),
                    verification: plan.busConfiguration.verification,
                    logger: .disabled,
                    onChange: KeeperWords().say
                ) : nil,
            alerts: plan.alerts.map {
                AlertPart(
                    alerts: $0,
                    bus: persistent,
                    store: store,
                    verification: plan.busConfiguration.verification
                )
            },
            manager: plan.manager
        )
        await ServeAnnouncement(server: server, transport: transport, persistent: persistent).say()
        return session
    }

    /// Reads the users, the manifest and its alerts, and the certificate and users of the page again, if there are any.
    func reload() {
        manager.reloading()
        server?.reload()
        page?.reload()
        metrics?.reload()
        alerts?.alerts.reload()
        // The last: it ends with telling that all is read.
        tools.reload()
    }

    /// Joins the mesh, runs the tools and prints events until `stop` is requested; then stops the tools and leaves.
    ///
    /// The parts are services of a group, which ends them one after the other, the last first: the tools before the
    /// node, so that their events are stored before node.left; the printer after the node, so that it prints node.left;
    /// then the connection, and the server last.
    func run(_ stop: StopRequest, _ printer: EventPrinter) async throws {
        var parts: [any Service] = [ManagerPart(manager: manager, tools: tools, node: node.name)]
        if let server { parts.append(LocalServerPart(server: server.process, stop: stop)) }
        parts.append(ConnectionPart(transport: transport))
        parts.append(PrinterPart(printing: printing, printer: printer, stop: stop))
        if let keeper { parts.append(KeeperPart(keeper: keeper)) }
        if let alerts { parts.append(alerts) }
        parts.append(NodePart(node: node, stop: stop))
        if let page { parts.append(PagePart(page: page, stop: stop)) }
        if let metrics { parts.append(MetricsPart(metrics: metrics, stop: stop)) }
        parts.append(ToolsPart(tools: tools, node: node, joinTimeout: Self.acknowledgementDeadline, stop: stop))
        parts.append(StopPart(stop: stop, manager: manager))
        let services = parts.map {
            ServiceGroupConfiguration.ServiceConfiguration(
                service: $0,
                successTerminationBehavior: .gracefullyShutdownGroup,
                failureTerminationBehavior: .gracefullyShutdownGroup
            )
        }
        try await ServiceGroup(configuration: .init(services: services, logger: .disabled)).run()
    }
}

extension NodeSession {
    /// The configuration of a node session.
    struct Plan: Sendable {
        /// The server of the mesh.
        enum Server: Sendable {
            /// A server that the node runs, and who may use it: without an access, every client that reaches it.
            case local(LocalNATSServer.Configuration, access: ServeAccess?)
            /// A server that runs elsewhere: its address, or several with commas.
            case named(String)
        }

        /// The page.
        struct Page: Sendable {
            let configuration: Dashboard.Configuration
            /// Whether events can be emitted over HTTP.
            let allowsEmit: Bool
            /// Whether tools can be controlled over HTTP.
            let allowsControl: Bool
        }

        /// Metrics on an address of their own.
        struct Metrics: Sendable {
            let server: MetricsServer.Configuration
            /// What a node without a page answers.
            let bounds: MeshMetricsSource.Configuration
        }

        let node: String
        let connection: ConnectionOptions
        let server: Server
        /// Whether the node creates the archive of the stream.
        let archives: Bool
        /// The manifest with the tools; `nil` for none.
        let manifest: ManifestFile?
        /// The rules and targets of the manifest; `nil` without one.
        let alerts: AlertReload?
        let toolLogin: ToolLogin
        /// Environment variables for every tool, except for the server's URL.
        let toolVariables: [String: String]
        /// What the node's bus does to the events that it emits, such as signing them.
        let emitting: EventBus.Configuration
        /// The check of signatures for the page and the printed events; `nil` for none.
        let verification: SignatureVerification?
        /// `nil` for no page.
        let page: Page?
        /// The certificate and the users of the page and the metrics.
        let access: PageAccess
        /// `nil` for no address of their own.
        let metrics: Metrics?
        /// Lets requests install, change and remove tools; `nil` refuses that.
        let installation: ToolInstallation?
        /// Whether the node keeps the state of the mesh when no other does.
        let keeps: Bool
        /// Where the logs of the node and its tools are kept.
        let logDirectory: String
        /// Is told how the node is.
        let manager: ServiceManager

        /// The configuration of the node's bus. On it the node watches for other nodes with its name, for which only
        /// signed events count.
        var busConfiguration: EventBus.Configuration {
            var configuration = emitting
            configuration.verification = verification
            configuration.verification?.policy = .reject
            return configuration
        }
    }
}

/// Prints how the mesh of a node that has joined can be reached.
private struct ServeAnnouncement {
    let server: NodeServer?
    let transport: NATSTransport
    let persistent: PersistentEventBus

    func say() async {
        let node = persistent.node.debugDescription
        if let server {
            let process = server.process
            Diagnostics.say(
                "node \(node) listens on \(process.url) (nats-server \(process.version), events in \(process.storeDirectory))"
            )
            sayWhoReaches(process, server.access)
        } else {
            let address = await transport.connection.currentAddress?.description ?? "a server"
            Diagnostics.say("node \(node) is in the mesh of \(address)")
        }
        ArchiveNotice.say(persistent.opening)
        let differences = persistent.opening.differences
        guard !differences.isEmpty else { return }
        let list = differences.map(\.description).joined(separator: "; ")
        Diagnostics.say(
            "the stream \(persistent.configuration.streamName) exists with another configuration and is used unchanged: \(list)"
        )
    }

    private func sayWhoReaches(_ server: LocalNATSServer, _ access: ServeAccess?) {
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
            variables += [
                "MESH_EVENTS_NKEY=\(ShellWord.quoted(key))",
                "MESH_EVENTS_TLS_CA=\(ShellWord.quoted(directory.authorityFile))",
            ]
        }
        if !variables.isEmpty { Diagnostics.say("in other terminals: export \(variables.joined(separator: " "))") }
    }
}
