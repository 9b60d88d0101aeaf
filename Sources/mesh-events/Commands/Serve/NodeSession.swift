import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import MeshLifecycle
import NATSClient

/// A node in the mesh, from joining to leaving.
struct NodeSession: Sendable {
    /// What to run.
    struct Plan: Sendable {
        let node: String
        let connection: ConnectionOptions
        /// The local server; `nil` when the connection names another.
        let localServer: LocalNATSServer.Configuration?
    }

    /// How long storing node.joined or node.left may take.
    private static let acknowledgementDeadline: Duration = .seconds(10)

    private let server: LocalNATSServer?
    private let transport: NATSTransport
    private let persistent: PersistentEventBus
    /// Shows events; it has a bus of its own, because it reports what is malformed.
    private let events: EventSubscription
    private let malformed: MalformedReport

    /// Starts the server when there is to be one, connects, opens the stream and subscribes. Nothing stays behind when
    /// it throws.
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
        let transport = try await plan.connection.connect(to: server?.url, name: "mesh-events serve \(plan.node)")
        let persistent = try await PersistentEventBus.open(
            transport: transport,
            node: plan.node,
            configuration: PersistenceConfiguration(acknowledgementDeadline: acknowledgementDeadline),
            logger: Silence.logger
        )
        let malformed = MalformedReport()
        let bus = EventBus(
            transport: transport,
            node: plan.node,
            configuration: EventBus.Configuration { malformed.report($0) },
            logger: Silence.logger
        )
        let session = NodeSession(
            server: server,
            transport: transport,
            persistent: persistent,
            events: try await bus.subscribe(),
            malformed: malformed
        )
        await session.announce()
        return session
    }

    /// Says where the mesh is reached.
    private func announce() async {
        let node = persistent.node.debugDescription
        if let server {
            Diagnostics.say(
                "node \(node) listens on \(server.url) (nats-server \(server.version), events in \(server.storeDirectory))"
            )
            if server.url != ConnectionOptions.defaultURL {
                Diagnostics.say("in other terminals: export JB_NATS_URL=\(server.url)")
            }
        } else {
            let address = await transport.connection.currentAddress?.description ?? "a server"
            Diagnostics.say("node \(node) is in the mesh of \(address)")
        }
        let differences = persistent.opening.differences
        guard !differences.isEmpty else { return }
        let list = differences.map(\.description).joined(separator: "; ")
        Diagnostics.say("the stream MESH_EVENTS exists with another configuration and is used as it is: \(list)")
    }

    /// Joins the mesh, shows its events until `stop` says to stop, and leaves.
    func run(_ stop: StopRequest, _ printer: EventPrinter) async throws {
        let report = Task { await ConnectionReport(connection: transport.connection).run() }
        let supervision = Task { await LocalServerSupervision(server: server, stop: stop).run() }
        let printing = Task { await show(stop, printer) }
        var failure: CommandFailure?
        do {
            try await persistent.emit(NodeJoined(capabilities: NodeCapabilities.current(tools: 0)))
            // Tools and health belong here: started after the announcement, stopped before leaving.
            if case .failed(let reason) = await stop.wait() { failure = reason }
        } catch {
            failure = CommandFailure(describing: error).prefixed("the node cannot be announced: ")
        }
        Diagnostics.clearInterrupt()
        supervision.cancel()
        if failure == nil {
            do {
                try await persistent.emit(NodeLeft(reason: "shutdown"))
            } catch {
                failure = CommandFailure(describing: error).prefixed("node.left could not be stored: ")
            }
        }
        // What has been emitted is shown before it is quiet, node.left included.
        try? await events.drain(timeout: .seconds(2))
        await printing.value
        malformed.finish()
        report.cancel()
        await transport.close()
        await server?.stop()
        if let failure { throw failure }
    }

    private func show(_ stop: StopRequest, _ printer: EventPrinter) async {
        var printer = printer
        do {
            for try await event in events { try printer.print(event) }
        } catch is OutputClosed {
            stop.stop(.outputClosed)
        } catch {
            stop.stop(.failed(CommandFailure(describing: error)))
        }
        // A reader that is gone must not keep the drain from ending.
        events.cancel()
        if events.dropped > 0 {
            Diagnostics.say("\(events.dropped) events were not shown: they came faster than they could be printed")
        }
    }
}
