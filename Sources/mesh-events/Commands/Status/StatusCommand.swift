import ArgumentParser
import MeshEvents
import MeshEventsNATS
import MeshLifecycle

/// `mesh-events status`.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show how the nodes and tools of the mesh are.",
        usage: "mesh-events status [--watch] [--node NAME] [--trust FILE] [--json]",
        discussion: """
            What is shown follows from the events that are kept; nobody is asked, and nothing is created or changed.

            A node is `online`; `degraded` when it says so itself (DETAILS says which checks fail); `unreachable` when \
            nothing was heard of it for three of its health intervals; `left` when it said so. Nodes that send no health, \
            as those of the Go mesh, are never unreachable, but `silent` when nothing was heard of them for five minutes: SEEN \
            says since when, and whether they are there is not known.

            A tool is `installed`, `running`, `stopped` or `crashed`. A ? behind that: its node is unreachable, this is what \
            it last did. TOOLS counts those that run, of all.

            --watch goes on until Ctrl-C: on a terminal in place; otherwise with the whole status again whenever something \
            other than a node's figures has changed. Where nothing is kept yet, it \
            shows what comes, and goes on by itself with what is kept as soon as there is a stream.

            EXAMPLES
              mesh-events status
              mesh-events status --watch
              mesh-events status --json | jq -r '.nodes[] | select(.status != "online") | .name'
              mesh-events status --json --watch | jq -c .summary
              mesh-events status --trust trust

            At most 10000 nodes are shown, those heard of last, and 1000 tools of each; texts and data are cut. What was left \
            out is counted. With --trust only events that their node has signed count; how many did not is said on standard \
            error.

            With --json a line is the whole status: time, summary and left_out (counts), and nodes with their tools. Keys \
            are stable, what is not known is null.
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
        var monitor = try await StreamAbsence.noted(at: connection, start)
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
