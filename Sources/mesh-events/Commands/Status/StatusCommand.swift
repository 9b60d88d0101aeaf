import ArgumentParser
import MeshEvents
import MeshEventsNATS
import MeshMonitoring
import NATSClient
import Synchronization

/// `mesh-events status`.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the status of the mesh's nodes and tools.",
        usage: "mesh-events status [--watch] [--node NAME] [--trust FILE] [--json]",
        discussion: """
            The status is computed from the stored events. The command sends no requests to nodes; it creates and \
            changes nothing.

            A node is `online`; `degraded` when it reports that itself (DETAILS names the failing checks); \
            `unreachable` when it has sent no event for three of its health intervals; `left` after its node.left. \
            Nodes that send no health events, as those of the Go mesh, are never unreachable, but `silent` after five \
            minutes without an event: SEEN is the age of the last one. Whether they run is not known.

            A tool is `installed`, `starting` or `running`; `backing off` when it has crashed and its node starts it \
            again after a delay; `failed` when its node does not start it again; `stopped`. A ? after that means that \
            its node is unreachable and this is its last known state. TOOLS is the number of running tools and of all \
            tools. Each health event of a node lists its tools, so that the status of a tool is right as soon as its \
            node has sent one, whatever the stream still has.

            --watch goes on until Ctrl-C: on a terminal in place; otherwise it prints the whole status again whenever \
            something other than a node's figures has changed. Without a stream it uses live events, and switches to \
            the stream as soon as there is one.

            EXAMPLES
              mesh-events status
              mesh-events status --watch
              mesh-events status --json | jq -r '.nodes[] | select(.status != "online") | .name'
              mesh-events status --json --watch | jq -c .summary
              mesh-events status --trust trust

            At most 10000 nodes are shown, those with the newest events, and 1000 tools of each; texts and data are \
            cut. The command counts what it left out. With --trust only events that their node has signed count; \
            standard error says how many did not.

            With --json a line is the whole status: time, summary and left_out (counts), and nodes with their tools. \
            Keys are stable; unknown values are null. The states of tools have `backing_off` for backing off. The \
            count `crashed` is deprecated: it is the sum of backing_off and failed.
            """
    )

    @Flag(help: "Go on showing changes, until Ctrl-C.")
    var watch = false

    @Option(help: ArgumentHelp("Show only this node.", valueName: "name"))
    var node: String?

    @Flag(help: "Print the status as a line of JSON.")
    var json = false

    @OptionGroup(title: "Signatures") var trust: TrustFileOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        if node?.isEmpty == true { throw CommandFailure(.usage, "--node must not be empty") }
        let verification = try trust.verification()
        let stop = StopRequest()
        Signals.install(stop)
        if watch { OutputWatch.install(stop) }
        _ = try await stop.race { try await show(verification, stop) }
        if watch { Diagnostics.clearInterrupt() }
    }

    private func show(_ verification: SignatureVerification?, _ stop: StopRequest) async throws {
        let transport = try await connection.connect(name: "mesh-events status")
        let printer = StatusPrinter(json: json, node: node, stop: stop)
        let start = { @Sendable [connection] () async throws -> MeshMonitor in
            let store = try connection.store(transport)
            return try await MeshMonitor.start(
                store: store,
                saved: verification == nil ? JetStreamStateStore(beside: store) : nil,
                verification: verification,
                logger: .disabled
            )
        }
        var monitor = try await StreamAbsence(connection, transport).noted(showsLive: watch, start)
        if monitor == nil, watch {
            let live = LiveStatus(printer: printer, transport: transport, verification: verification)
            monitor = try await live.run(until: start)
        }
        guard let monitor else {
            var unknown = MeshState()
            unknown.advance(to: .now)
            try printer.print(unknown)
            return await transport.close()
        }
        defer { TrustOptions.reportRejected(monitor.rejected) }
        if watch {
            try await StatusWatch(monitor: monitor, connection: transport.connection, printer: printer).run()
        } else {
            try printer.print(monitor.state)
        }
        monitor.close()
        await transport.close()
    }
}

/// Shows the status repeatedly, until the task is cancelled.
private struct StatusWatch: Sendable {
    let monitor: MeshMonitor
    let connection: NATSConnection
    let printer: StatusPrinter

    /// How often the picture on a terminal is drawn again, so that ages are up to date.
    private static let tick: Duration = .seconds(1)

    /// Shows the status until the connection is closed or the task is cancelled.
    ///
    /// - Throws: `MeshEventsError` when the monitor fails, `OutputClosed` when standard output has no reader any more.
    func run() async throws {
        let (wishes, wish) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let updates = monitor.updates()
        try await withThrowingTaskGroup(of: Void.self) { group in
            let notice = ConnectionNotice()
            group.addTask {
                for try await update in updates where printer.isShown(update.change) { wish.yield() }
                wish.finish()
            }
            group.addTask { await watchConnection(notice) { wish.yield() } }
            watchStream(notice) { wish.yield() }
            if printer.isInPlace {
                group.addTask {
                    while (try? await Task.sleep(for: Self.tick)) != nil { wish.yield() }
                }
            }
            group.addTask { try await show(wishes, notice) }
            // The first task that ends, ends all: the connection is closed, or standard output has no reader.
            try await group.next()
            group.cancelAll()
        }
    }

    private func show(_ wishes: AsyncStream<Void>, _ notice: ConnectionNotice) async throws {
        let address = await connection.currentAddress?.description ?? "a server"
        var isFirst = true
        func show() throws {
            let state = notice.text ?? "\(address) (Ctrl-C ends)"
            try printer.show(monitor.state, heading: "mesh-events status: \(state)", isFirst: isFirst)
            isFirst = false
        }
        try show()
        var pause = StatusPrinter.pause
        for await _ in wishes {
            try await Task.sleep(for: pause)
            // A large mesh is shown less often.
            pause = max(StatusPrinter.pause, try ContinuousClock().measure { try show() })
        }
    }

    /// Reports a lost connection: on a terminal in the picture, else in a line on standard error.
    private func watchConnection(_ notice: ConnectionNotice, _ changed: @Sendable () -> Void) async {
        guard printer.isInPlace else {
            await ConnectionReport(connection: connection, missing: "no events arrive meanwhile").run()
            return
        }
        for await status in connection.statusUpdates() {
            switch status {
            case .disconnected(let reason, _):
                notice.set(connection: "the connection is lost (\(reason.message)); connecting again")
            case .connected, .reconnected: notice.set(connection: nil)
            default: continue
            }
            changed()
        }
    }

    /// Reports a stream that does not answer, in the same way.
    private func watchStream(_ notice: ConnectionNotice, _ changed: @escaping @Sendable () -> Void) {
        let report = TroubleReport(missing: "nodes that run may be shown as unreachable")
        guard printer.isInPlace else { return monitor.whenTroubled(report.tell) }
        monitor.whenTroubled { error in
            notice.set(stream: error.map(report.text))
            changed()
        }
    }
}

/// The present message about the connection or the stream; `nil` when all is well.
private final class ConnectionNotice: Sendable {
    private let value = Mutex<(connection: String?, stream: String?)>((nil, nil))

    var text: String? { value.withLock { $0.connection ?? $0.stream } }

    func set(connection text: String?) { value.withLock { $0.connection = text } }
    func set(stream text: String?) { value.withLock { $0.stream = text } }
}

/// Shows the status from live events, until there is a stream.
private struct LiveStatus: Sendable {
    /// How often the picture on a terminal is drawn again, so that ages are up to date.
    private static let tick: Duration = .seconds(1)

    let printer: StatusPrinter
    let transport: NATSTransport
    let verification: SignatureVerification?

    /// Shows the mesh until `start` finds a stream.
    ///
    /// - Returns: What `start` returns.
    func run(until start: @escaping @Sendable () async throws -> MeshMonitor) async throws -> MeshMonitor {
        let bus = EventBus.listening(on: transport, verification: verification)
        let live = try await LiveMesh(bus)
        defer {
            live.close()
            TrustOptions.reportRejected(live.rejected)
        }
        let (wishes, wish) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        return try await withThrowingTaskGroup(of: MeshMonitor?.self) { group in
            group.addTask {
                try await live.run { change in
                    if printer.isShown(change) { wish.yield() }
                }
                return nil
            }
            if printer.isInPlace {
                group.addTask {
                    while (try? await Task.sleep(for: Self.tick)) != nil { wish.yield() }
                    return nil
                }
            }
            group.addTask {
                try await show(live, wishes)
                return nil
            }
            group.addTask { try await LiveMesh.waitForStream { try await Self.opened(start) } }
            defer { group.cancelAll() }
            while let monitor = try await group.next() {
                if let monitor { return monitor }
            }
            throw CancellationError()
        }
    }

    private func show(_ live: LiveMesh, _ wishes: AsyncStream<Void>) async throws {
        let heading = "mesh-events status: no stream yet, so only live events count (Ctrl-C ends)"
        try printer.show(live.state, heading: heading, isFirst: true)
        for await _ in wishes {
            try await Task.sleep(for: StatusPrinter.pause)
            try printer.show(live.state, heading: heading, isFirst: false)
        }
    }

    /// The result of `start`; `nil` while there is no stream.
    private static func opened(_ start: () async throws -> MeshMonitor) async throws -> MeshMonitor? {
        do {
            return try await start()
        } catch let error as MeshEventsError
            where [.streamNotFound, .persistenceUnavailable].contains(error.code) || error.isRetriable
        {
            return nil
        }
    }
}
