import LocalNATSServer
import MeshAlerts
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import MeshMonitoring
import MeshNotifiers
import MeshSupervision
import ServiceLifecycle

// The parts of a node session. Each is a service that runs until its group shuts it down, even when its work ends before:
// a group cancels all its services when one ends while it shuts down another. What goes wrong becomes a request to stop.

/// Tells the manager of services how the node is, to the end.
struct ManagerPart: Service {
    let manager: ServiceManager
    let tools: NodeTools
    let node: String

    func run() async throws {
        await cancelWhenGracefulShutdown { [manager, tools, node] in
            await manager.report { ServiceManager.line(node: node, tools.states) }
        }
        try? await gracefulShutdown()
    }
}

/// Runs the local server: starts it again when it ends unexpectedly, and stops it at the end.
struct LocalServerPart: Service {
    let server: LocalNATSServer
    let stop: StopRequest

    func run() async throws {
        await cancelWhenGracefulShutdown { await LocalServerSupervision(server: server, stop: stop).run() }
        try? await gracefulShutdown()
        await server.stop()
    }
}

/// Reports on the connection, and closes it at the end.
struct ConnectionPart: Service {
    let transport: NATSTransport

    func run() async throws {
        await ConnectionReport(connection: transport.connection).during {
            try? await gracefulShutdown()
        }
        await transport.close()
    }
}

/// Prints events. At the end it prints the last events too, node.left included.
struct PrinterPart: Service {
    let printing: EventPrinting
    let printer: EventPrinter
    let stop: StopRequest

    func run() async throws {
        await withTaskGroup { group in
            group.addTask {
                do {
                    try await printing.run(printer)
                } catch is OutputClosed {
                    stop.stop(.outputClosed)
                } catch {
                    stop.stop(.failed(CommandFailure(describing: error)))
                }
            }
            try? await gracefulShutdown()
            await printing.drain()
        }
        printing.finish()
    }
}

/// Runs the node, which leaves the mesh at the end.
struct NodePart: Service {
    /// How long storing node.left may take after a failure, which may be that there is no server.
    private static let failedLeaveTimeout: Duration = .seconds(2)

    let node: MeshNode
    let stop: StopRequest

    func run() async throws {
        do {
            try await withGracefulShutdownHandler {
                try await node.run()
            } onGracefulShutdown: {
                guard case .failed = stop.reason else { return node.leave(reason: "shutdown") }
                node.leave(reason: "cancelled", within: Self.failedLeaveTimeout)
            }
        } catch {
            let failure = CommandFailure(describing: error)
            guard stop.reason == nil else { throw failure.prefixed("the last events could not be stored: ") }
            stop.stop(.failed(failure.prefixed("the node cannot go on: ")))
            try? await gracefulShutdown()
        }
    }
}

/// Keeps the state of the mesh whenever no other node does. It ends after the node, so that it saves node.left too.
struct KeeperPart: Service {
    let keeper: MeshKeeper

    func run() async throws {
        do {
            try await keeper.run()
        } catch {
            // The node does its work without it.
            Diagnostics.say(
                "this node does not keep the state of the mesh: \(CommandFailure(describing: error).message)"
            )
        }
        try? await gracefulShutdown()
    }
}

/// Watches the mesh by the rules of the manifest, whenever no other process does. It ends after the node, so that it tells of
/// node.left too.
struct AlertPart: Service {
    let alerts: AlertReload
    let bus: PersistentEventBus
    let store: JetStreamStore
    let verification: SignatureVerification?

    func run() async throws {
        await cancelWhenGracefulShutdown {
            guard (try? await alerts.hasRules.wait()) != nil else { return }
            await NotifierClient.with { client in
                do {
                    try await alerts.runner(bus, store, verification, client).run()
                } catch {
                    // The node does its work without it.
                    Diagnostics.say("this node does not watch the alerts: \(CommandFailure(describing: error).message)")
                }
            }
        }
        try? await gracefulShutdown()
    }
}

/// Serves the page.
struct PagePart: Service {
    let page: DashboardRun
    let stop: StopRequest

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await page.run() }
        } catch {
            stop.stop(.failed(CommandFailure(describing: error)))
        }
        try? await gracefulShutdown()
    }
}

/// Answers metrics.
struct MetricsPart: Service {
    let metrics: MetricsRun
    let stop: StopRequest

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await metrics.run() }
        } catch {
            stop.stop(.failed(CommandFailure(describing: error)))
        }
        try? await gracefulShutdown()
    }
}

/// Runs the tools, from when node.joined is stored; stops them at the end.
struct ToolsPart: Service {
    let tools: NodeTools
    let node: MeshNode
    /// How long storing node.joined may take.
    let joinTimeout: Duration
    let stop: StopRequest

    func run() async throws {
        do {
            let hasJoined: Void? = try await stop.race { try await node.waitUntilJoined(timeout: joinTimeout) }
            if hasJoined == nil { return try await gracefulShutdown() }
        } catch {
            let failure = CommandFailure(describing: error)
            stop.stop(.failed(failure.prefixed("the node cannot be announced: ")))
            return try await gracefulShutdown()
        }
        await withTaskGroup { group in
            group.addTask { await tools.run() }
            try? await gracefulShutdown()
            group.cancelAll()
            await tools.shutdown()
        }
    }
}

/// Ends with the request to stop, and with it the group.
struct StopPart: Service {
    let stop: StopRequest
    let manager: ServiceManager

    func run() async throws {
        let reason = await stop.wait()
        manager.stopping()
        Diagnostics.clearInterrupt()
        if case .failed(let failure) = reason { throw failure }
    }
}

/// The printing of a node's events.
struct EventPrinting: Sendable {
    private let events: EventSubscription
    private let malformed = MalformedReport()

    /// Subscribes.
    ///
    /// On a bus of its own, because two things differ from the node's: it shows events that are not signed, and it
    /// reports messages that are not events. The node's bus would report those twice, because the node subscribes to
    /// events of nodes on it.
    init(_ transport: NATSTransport, _ verification: SignatureVerification?) async throws {
        let bus = EventBus.listening(on: transport, verification: verification) { [malformed] in malformed.report($0) }
        events = try await bus.subscribe(buffer: LiveEvents.buffer)
    }

    /// Prints until the subscription ends.
    ///
    /// - Throws: `OutputClosed` when standard output has no reader any more; other errors of writing.
    func run(_ printer: EventPrinter) async throws {
        // A drain must end even when standard output has no reader any more.
        defer { events.cancel() }
        var (printer, shown) = (printer, LiveEvents(events))
        try await shown.print(with: &printer)
    }

    /// Ends the subscription when the events that have been sent are there.
    func drain() async {
        try? await events.drain(timeout: .seconds(2))
    }

    /// Reports how many messages were not events.
    func finish() { malformed.finish() }
}
