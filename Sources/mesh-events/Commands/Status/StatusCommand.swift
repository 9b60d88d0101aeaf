import ArgumentParser
import MeshEvents
import MeshEventsNATS
import MeshMonitoring

/// `mesh-events status`.
struct StatusCommand: SignalHandlingCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the status of the mesh's nodes and tools.",
        usage: """
            mesh-events status [--watch] [--node NAME] [--check [--quiet]] [--trust FILE] [--json]
            mesh-events status NODE[/TOOL] [--tool NAME] [--watch] [--check [--quiet]] [--trust FILE] [--json]
            """,
        discussion: """
            The status is computed from the stored events. The command sends no requests to nodes; it creates and \
            changes nothing. Failed tools and unreachable nodes come first, then what is degraded or backing off, then \
            the rest by name.

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

            NODE shows one node in detail: its status, machine, use and tools, how often these were restarted in the \
            last hour, and the last five events about it, health events aside. NODE/TOOL shows a tool of it, with the \
            last lines that it wrote before its last crash. Names may \
            have a / themselves: a node of exactly this name is meant first; --tool NAME separates the two.

            Alerts that fire stand above all, when a process watches them (`mesh-events alert`).

            --check ends with 0 when all is well, 1 when a node is degraded or a tool is backing off, 2 when a node is \
            unreachable or a tool has failed. The first line names what is wrong, as OK, WARNING or CRITICAL; --quiet \
            prints nothing. Nodes in maintenance are well, with their tools: `mesh-events node maintenance`. Stopped \
            tools, silent nodes and nodes that left are well, because they may be so on \
            purpose. A node that is named is not: 1 when it is silent, 2 when it has left, as a tool that was removed \
            or whose node left. When nothing is known of it, or of any node, the exit code is 69.

            EXAMPLES
              mesh-events status
              mesh-events status --watch
              mesh-events status pi
              mesh-events status pi/whisper --watch
              mesh-events status --check --quiet || ./alert.sh   # for cron
              mesh-events status --json | jq -r '.nodes[] | .name + " " + .status'
              mesh-events status --json --watch | jq -c .summary
              mesh-events status --trust trust

            At most 10000 nodes are shown, those with the newest events, and 1000 tools of each; texts and data are \
            cut. The command counts what it left out. With --trust only events that their node has signed count; \
            standard error says how many did not.

            With --json a line is the whole status: time, summary and left_out (counts), nodes with their tools, and the \
            alerts that fire (as `alert list --json`; null when no process watches them). \
            In detail it has time, node (as in nodes), tool (as in tools; then node has name and status only), \
            uptime_s, restarts, restarts_last_hour, of a tool crash_output (the lines before its last crash), and \
            events (as `list --json`). \
            Keys are stable; unknown values are null. The states of tools have `backing_off` for backing off. The \
            count `crashed` is deprecated: it is the sum of backing_off and failed.

            EXIT CODES: as for all commands; 69 also when nothing is known of NODE or TOOL; with --check 0, 1 and 2 as \
            above.
            """
    )

    @Argument(
        help: ArgumentHelp(
            "Show this node, or this tool of a node, in detail: pi, pi/whisper.",
            valueName: "node[/tool]"
        )
    )
    var subject: String?

    @Option(help: ArgumentHelp("Show this tool of the node in detail, for names with a /.", valueName: "name"))
    var tool: String?

    @Flag(help: "Go on showing changes, until Ctrl-C.")
    var watch = false

    @Flag(help: "Say first what is wrong, in one line, and end with exit code 0, 1 or 2.")
    var check = false

    @Flag(help: "With --check: print nothing.")
    var quiet = false

    @Option(help: ArgumentHelp("Show only this node in the tables.", valueName: "name"))
    var node: String?

    @Flag(help: "Print the status as a line of JSON.")
    var json = false

    @OptionGroup(title: "Signatures") var trust: TrustFileOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let view = try view()
        let verification = try trust.verification()
        let stop = StopRequest()
        Signals.install(stop)
        if watch { OutputWatch.install(stop) }
        let trouble = try await stop.race { try await show(view, verification, stop) }
        if watch { Diagnostics.clearInterrupt() }
        guard check else { return }
        guard let trouble else { throw CommandFailure(.unavailable, "interrupted before the status was known") }
        if trouble != .well { throw ExitCode(trouble.exitCode) }
    }

    /// What to show, checked together with the options.
    private func view() throws -> StatusView {
        for (name, value) in [("NODE", subject), ("--node", node), ("--tool", tool)] where value?.isEmpty == true {
            throw CommandFailure(.usage, "\(name) must not be empty")
        }
        if quiet, !check { throw CommandFailure(.usage, "--quiet is for --check; without it there would be nothing") }
        if check, watch { throw CommandFailure(.usage, "--check looks once; leave out --watch") }
        guard let subject else {
            guard tool == nil else {
                throw CommandFailure(.usage, "--tool needs the node that has it: NODE --tool NAME")
            }
            return .tables(node: node)
        }
        guard node == nil else { throw CommandFailure(.usage, "--node is for the tables; leave it out, or NODE") }
        return .detail(StatusArgument(text: subject, tool: tool))
    }

    /// Shows the status.
    ///
    /// - Returns: What is wrong, as far as that was asked for.
    private func show(
        _ view: StatusView,
        _ verification: SignatureVerification?,
        _ stop: StopRequest
    ) async throws -> Trouble {
        let transport = try await connection.connect(name: "mesh-events status")
        let printer = StatusPrinter(json: json, view: view, stop: stop)
        let start = { @Sendable [connection] () async throws -> MeshMonitor in
            try await connection.monitor(transport, verification)
        }
        let store = try connection.store(transport)
        let alerts = FiringAlerts { try await AlertReading.overview(store, verification) }
        // Beside the mesh, which takes as many questions.
        async let firing = quiet || subject != nil ? nil : alerts.firing()
        var monitor = try await StreamAbsence(connection, transport).noted(showsLive: watch, start)
        if monitor == nil, watch {
            let live = LiveStatus(printer: printer, transport: transport, verification: verification)
            monitor = try await live.run(until: start)
        }
        let history = EventHistory(
            store: store,
            verification: verification,
            logger: .disabled
        )
        _ = await firing
        let source = StatusSource(
            view: view,
            events: monitor == nil ? nil : RecentEventReader(history: history),
            alerts: monitor == nil ? nil : alerts
        )
        guard let monitor else {
            var unknown = MeshState()
            unknown.advance(to: .now)
            let trouble = try finish(try await source.content(of: unknown), printer)
            await transport.close()
            return trouble
        }
        defer { TrustOptions.reportRejected(monitor.rejected) }
        if subject == nil, !check, !watch, !json { sayUnlessSaved(monitor) }
        var trouble = Trouble.well
        if watch {
            try await StatusWatch(monitor: monitor, connection: transport.connection, source: source, printer: printer)
                .run()
        } else {
            trouble = try finish(try await content(source, of: monitor.state), printer)
        }
        monitor.close()
        await transport.close()
        return trouble
    }

    /// Says why older events are not known that the stream has dropped.
    private func sayUnlessSaved(_ monitor: MeshMonitor) {
        guard monitor.savedState == nil, !monitor.state.isEmpty else { return }
        if let failure = monitor.savedStateFailure, failure.code != .streamNotFound {
            Diagnostics.say(
                "what the stream has dropped is not known; the saved state cannot be read: \(failure.message)"
            )
        } else {
            let origin = trust.trust == nil ? "" : " by a node that the trust list names as a keeper"
            Diagnostics.say(
                "what the stream has dropped is not known: the state of this mesh is not saved\(origin); any `mesh-events serve`, "
                    + "or `mesh-events keep`, saves it"
            )
        }
    }

    /// What to show once. When its events cannot be read, it is shown without them.
    private func content(_ source: StatusSource, of mesh: MeshState) async throws -> StatusContent {
        guard !quiet else { return try await source.withoutReading.content(of: mesh) }
        do {
            return try await source.content(of: mesh)
        } catch let error as MeshEventsError {
            Diagnostics.say("the newest events cannot be read: \(error.message)")
            return try await source.withoutReading.content(of: mesh)
        }
    }

    /// Prints the status, and checks it when that was asked for.
    private func finish(_ content: StatusContent, _ printer: StatusPrinter) throws -> Trouble {
        guard check else {
            try printer.print(content)
            return .well
        }
        let result = try content.check()
        guard !quiet else { return result.trouble }
        do {
            try printer.print(heading: result.line)
            try printer.print(content)
        } catch is OutputClosed {
            // The exit code says it, too.
        }
        return result.trouble
    }
}
