import ArgumentParser
import MeshEvents
import MeshEventsNATS
import NATSClient
import NIOCore

/// `mesh-events watch`.
struct WatchCommand: SignalHandlingCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Print events as they arrive, until Ctrl-C.",
        usage:
            """
            mesh-events watch [PATTERN] [--limit N] [--queue GROUP] [--node NAME] [--where CONDITION] [--trust FILE] \
            [--json | --format FORMAT | --raw]
            """,
        discussion: """
            Prints events that are emitted from now on; `mesh-events list` shows earlier ones. A lost connection is \
            restored automatically; standard error reports both.

            PATTERN: dots separate tokens, * stands for one token, > at the end for all that follow. The prefix \
            `events.` may be left out. Quote it, because the shell interprets * and >.

            With --json a line is the event in the format in which this program emits, whichever program emitted it: \
            the members type, node, timestamp (UTC) and data in this order, data with its digits and escapes. Other \
            members are left out. --raw prints the received bytes of each message instead, even if it is no event.

            EXAMPLES
              mesh-events watch
              mesh-events watch 'tool.*'
              mesh-events watch tool.crashed --json | jq .data
              mesh-events watch tool.crashed --limit 1   # waits for the next one
              mesh-events watch 'user.*' --queue workers # several share the events
              mesh-events watch --where 'resources.cpu > 0.9'
              mesh-events watch --format cloudevents     # as CloudEvents 1.0
              mesh-events watch --trust trust            # only what nodes have signed
              mesh-events watch --raw                    # the messages as they were sent
            """
    )

    @Argument(help: ArgumentHelp("Which events, for example 'tool.*'. Default: all.", valueName: "pattern"))
    var pattern: String?

    @Option(help: ArgumentHelp("End after this number of events.", valueName: "n"))
    var limit: Int?

    @Option(help: ArgumentHelp("Share the events with all watchers of the same queue group.", valueName: "group"))
    var queue: String?

    @Option(help: ArgumentHelp("Show only events about this node.", valueName: "name"))
    var node: String?

    @OptionGroup var conditions: WhereOptions

    @Flag(help: "Print the payload of each message unchanged, one per line, without reading the event.")
    var raw = false

    @OptionGroup var output: EventOutputOptions
    @OptionGroup(title: "Signatures") var trust: TrustOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        if let limit, limit < 1 { throw CommandFailure(.usage, "--limit must be at least 1, not \(limit)") }
        let pattern = try PatternArgument.pattern(pattern)
        let selection = EventSelection(node: node, filter: try conditions.filter())
        let verification = try trust.verification()
        if raw, output.chosen != .text || node != nil || !selection.filter.isEmpty || verification != nil {
            throw CommandFailure(
                .usage,
                "--raw does not read events; leave --json, --format, --node, --where and --trust out"
            )
        }
        let stop = StopRequest()
        Signals.install(stop)
        OutputWatch.install(stop)
        _ = try await stop.race {
            if raw {
                try await watchRaw(pattern, stop)
            } else {
                try await watch(pattern, selection, verification, stop)
            }
        }
    }

    /// Prints the payloads of all messages, also of those that are no events.
    private func watchRaw(_ pattern: EventPattern, _ stop: StopRequest) async throws {
        let connection = try await connection.connect(name: "mesh-events watch --raw").connection
        try await ConnectionReport(connection: connection).during {
            let messages = try await connection.subscribe(
                to: pattern.subject,
                queueGroup: queue,
                maximumMessages: LiveEvents.buffer.maximumEvents,
                maximumBytes: LiveEvents.buffer.maximumBytes
            )
            await announce(pattern, connection)
            let output = LineOutput.standard(stop: stop)
            var drops = DropReport()
            defer { drops.finish(UInt64(messages.dropped)) }
            var count = 0
            for try await message in messages {
                try output.write(raw: message.payload.readableBytesView)
                drops.look(UInt64(messages.dropped))
                count += 1
                if count == limit { break }
            }
            messages.cancel()
            await connection.close()
        }
    }

    private func announce(_ pattern: EventPattern, _ connection: NATSConnection) async {
        let address = await connection.currentAddress?.description ?? "a server"
        Diagnostics.say("watching \(pattern) on \(address) (Ctrl-C ends)")
    }

    private func watch(
        _ pattern: EventPattern,
        _ selection: EventSelection,
        _ verification: SignatureVerification?,
        _ stop: StopRequest
    ) async throws {
        let transport = try await connection.connect(name: "mesh-events watch")
        try await ConnectionReport(connection: transport.connection).during {
            let malformed = MalformedReport()
            let bus = EventBus.listening(on: transport, verification: verification) { malformed.report($0) }
            let subscription = try await bus.subscribe(to: pattern, queueGroup: queue, buffer: LiveEvents.buffer)
            await announce(pattern, transport.connection)
            defer {
                malformed.finish()
                TrustOptions.reportRejected(subscription.rejected)
            }
            var printer = EventPrinter(output.chosen, marks: trust.marks, stop: stop)
            var events = LiveEvents(subscription)
            try await events.print(with: &printer, limit: limit) { event in
                guard selection.includes(event) else { return false }
                trust.note(event)
                return true
            }
            subscription.cancel()
            await transport.close()
        }
    }
}
