import ArgumentParser
import MeshEvents
import MeshEventsNATS
import NATSClient

/// `mesh-events watch`.
struct WatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Print events as they come, until Ctrl-C.",
        usage:
            "mesh-events watch [PATTERN] [--limit N] [--queue GROUP] [--node NAME] [--trust FILE] [--json | --format FORMAT]",
        discussion: """
            Prints what is emitted from now on; `mesh-events list` shows what was before. When the connection is lost \
            it is restored by itself; that is said on standard error.

            PATTERN: dots separate tokens, * stands for one token, > at the end for all that follow. `events.` in \
            front may be left out. Quote it, or the shell takes * and > for itself.

            EXAMPLES
              mesh-events watch
              mesh-events watch 'tool.*'
              mesh-events watch tool.crashed --json | jq .data
              mesh-events watch tool.crashed --limit 1   # waits for the next one
              mesh-events watch 'user.*' --queue workers # several share the events
              mesh-events watch --format cloudevents     # for systems that speak CloudEvents 1.0
              mesh-events watch --trust trust            # only what its node has signed; see `mesh-events key`
            """
    )

    @Argument(help: ArgumentHelp("Which events, for example 'tool.*'. Default: all.", valueName: "pattern"))
    var pattern: String?

    @Option(help: ArgumentHelp("End after so many events.", valueName: "n"))
    var limit: Int?

    @Option(help: ArgumentHelp("Share the events with all who watch with the same group.", valueName: "group"))
    var queue: String?

    @Option(help: ArgumentHelp("Show only events of this node.", valueName: "name"))
    var node: String?

    @OptionGroup var output: EventOutputOptions
    @OptionGroup(title: "Signatures") var trust: TrustOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        if let limit, limit < 1 { throw CommandFailure(.usage, "--limit must be at least 1, not \(limit)") }
        let pattern = try PatternText.pattern(pattern)
        let verification = try trust.verification()
        let stop = StopRequest()
        Signals.install(stop)
        OutputWatch.install(stop)
        _ = try await stop.race { try await watch(pattern, verification, stop) }
    }

    private func watch(
        _ pattern: EventPattern,
        _ verification: SignatureVerification?,
        _ stop: StopRequest
    ) async throws {
        let transport = try await connection.connect(name: "mesh-events watch")
        let report = Task { await ConnectionReport(connection: transport.connection).run() }
        defer { report.cancel() }
        let malformed = MalformedReport()
        let bus = EventBus(
            transport: transport,
            node: "",
            configuration: EventBus.Configuration(onMalformed: { malformed.report($0) }, verification: verification),
            logger: Silence.logger
        )
        let subscription = try await bus.subscribe(to: pattern, queueGroup: queue, buffer: LiveEvents.buffer)
        let address = await transport.connection.currentAddress?.description ?? "a server"
        Diagnostics.say("watching \(pattern) on \(address) (Ctrl-C ends)")
        defer {
            malformed.finish()
            TrustOptions.reportRejected(subscription.rejected)
        }
        var printer = EventPrinter(output.chosen, marks: trust.marks, stop: stop)
        var events = LiveEvents(subscription)
        try await events.print(with: &printer, limit: limit) { event in
            if let node, event.node != node { return false }
            trust.note(event)
            return true
        }
        subscription.cancel()
        await transport.close()
    }
}
