import ArgumentParser
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import NATSClient

/// `mesh-events wait-for`.
struct WaitForCommand: SignalHandlingCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait-for",
        abstract: "Wait for an event, and print it.",
        usage: """
            mesh-events wait-for TYPE [--node NAME] [--tool NAME] [--where CONDITION] [--timeout DURATION] [--since WHEN] \
            [--trust FILE] [--json]
            """,
        discussion: """
            Ends with 0 at the first matching event, and with 75 when none has come within --timeout, or when it is \
            interrupted. It waits for events from now on; with --since, events stored from that time on count too. \
            WHEN is how long ago (90s, 10m, 1d) or a time in RFC 3339.

            With a stream, no event is missed, even when the connection is lost for a while; without one, events from \
            while the connection is lost are missed.

            TYPE may be a pattern: * stands for one token, > at the end for all that follow. The prefix `events.` may \
            be left out. Quote it, because the shell interprets * and >.

            EXAMPLES
              mesh-events wait-for node.joined --node pi --timeout 5m
              mesh-events wait-for tool.started --tool whisper && ./transcribe.sh
              mesh-events wait-for tool.crashed --timeout 1h --json | jq -r .data.error
              mesh-events wait-for node.health --where 'resources.cpu < 0.2'
              mesh-events wait-for user.training.complete --since 1d
              mesh-events wait-for node.left --node pi --trust trust   # only signed
            """
    )

    @Argument(help: ArgumentHelp("Which event, for example tool.started.", valueName: "type"))
    var type: String

    @Option(help: ArgumentHelp("Only events about this node.", valueName: "name"))
    var node: String?

    @Option(help: ArgumentHelp("Only events about this tool.", valueName: "name"))
    var tool: String?

    @OptionGroup var conditions: WhereOptions

    @Option(help: ArgumentHelp("How long to wait: 30s, 10m, 1h30m.", valueName: "duration"))
    var timeout: String = "60s"

    @Option(help: ArgumentHelp("Let events stored then or later count too.", valueName: "when"))
    var since: String?

    @OptionGroup var output: EventOutputOptions
    @OptionGroup(title: "Signatures") var trust: TrustOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let awaited = try awaited()
        let since = try since.map { try TimeBound.parse($0, option: "--since") }
        let limit = try DurationArgument.option("--timeout", timeout)
        let verification = try trust.verification()
        let stop = StopRequest()
        Signals.install(stop)
        let looks = OneTimeSignal()
        let hasHappened = try await stop.withTimeLimit(limit) {
            try await stop.race { try await wait(for: awaited, since, verification, looks, stop) }
        }
        if hasHappened == true { return }
        Diagnostics.clearInterrupt()
        let what = awaited.description
        switch stop.reason {
        case .timeUp where !looks.isSent:
            throw CommandFailure(
                .unavailable,
                "whether \(what) happened is not known: the server did not answer within \(timeout); give a longer --timeout"
            )
        case .timeUp: throw CommandFailure(.notHappened, "\(what) did not happen within \(timeout)")
        case nil: throw CommandFailure(.unavailable, "the connection was closed before \(what) happened; try again")
        default: throw CommandFailure(.notHappened, "interrupted before \(what) happened")
        }
    }

    /// The awaited event, checked together with the options.
    private func awaited() throws -> AwaitedEvent {
        let pattern = try PatternArgument.pattern(type)
        for (name, value) in [("--node", node), ("--tool", tool)] where value?.isEmpty == true {
            throw CommandFailure(.usage, "\(name) must not be empty")
        }
        if tool != nil, EventPattern("events.node.>").covers(pattern) {
            throw CommandFailure(.usage, "events about nodes name no tool; leave out --tool, or wait for 'tool.*'")
        }
        return try AwaitedEvent(pattern: pattern, node: node, tool: tool, where: conditions.filter())
    }

    /// Waits for the event and prints it.
    ///
    /// - Parameter looks: is sent when an event that happens from then on is noticed, and earlier ones have been read.
    /// - Returns: Whether it happened.
    private func wait(
        for awaited: AwaitedEvent,
        _ since: Timestamp?,
        _ verification: SignatureVerification?,
        _ looks: OneTimeSignal,
        _ stop: StopRequest
    ) async throws -> Bool {
        let transport = try await connection.connect(name: "mesh-events wait-for \(type)")
        let wait = EventWait(
            awaited: awaited,
            since: since,
            verification: verification,
            connection: connection,
            transport: transport,
            looks: looks
        )
        let source = try await wait.open()
        await announce(transport, awaited)
        let found = try await ConnectionReport(connection: transport.connection, missing: source.missing).during {
            try await wait.first(in: source)
        }
        if let found {
            var printer = EventPrinter(output.chosen, marks: trust.marks, stop: stop)
            trust.note(found.event)
            switch found {
            case .stored(let stored): try printer.print(stored)
            case .live(let event): try printer.print(event)
            }
        }
        await transport.close()
        return found != nil
    }

    private func announce(_ transport: NATSTransport, _ awaited: AwaitedEvent) async {
        let address = await transport.connection.currentAddress?.description ?? "a server"
        Diagnostics.say("waiting up to \(timeout) for \(awaited) on \(address) (Ctrl-C ends)")
    }
}
