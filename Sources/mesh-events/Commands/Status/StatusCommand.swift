import ArgumentParser
import MeshEvents
import MeshEventsNATS
import MeshMonitoring

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

            A tool is `installed`, `running`, `stopped` or `crashed`. A ? after that means that its node is \
            unreachable and this is its last known state. TOOLS is the number of running tools and of all tools.

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
            Keys are stable; unknown values are null.
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
            try await MeshMonitor.start(
                store: try connection.store(transport),
                verification: verification,
                logger: Silence.logger
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
