import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// `mesh-events replay`.
struct ReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Print the events that are kept, from a point on, and go on with those that come.",
        usage: """
            mesh-events replay [PATTERN ...] [--from START] [--follow] [--speed max|real|FACTOR] [--limit N] \
            [--node NAME] [--trust FILE] [--json]
            """,
        discussion: """
            Prints what is stored, oldest first, and ends; with --follow it goes on with what comes, without missing or \
            repeating an event, also when the connection is lost or the server restarted. Events that the stream has \
            dropped before they could be read are named on standard error. When the stream is deleted and created \
            anew meanwhile, it ends with exit code 76.

            START: `beginning` (the default), `new` (with --follow: only what comes), a sequence (17), how long ago \
            (90s, 10m, 2h30m, 1d) or a time in RFC 3339, compared with the time the event was stored.

            SPEED: `max` (the default) as fast as possible; `real` with the pauses that lay between the events when \
            they were stored; 10 ten times as fast, 0.5 half as fast. What comes live is never held back.

            PATTERN: dots separate tokens, * stands for one token, > at the end for all that follow. `events.` in \
            front may be left out. Quote it, or the shell takes * and > for itself. Of several, one has to match.

            EXAMPLES
              mesh-events replay
              mesh-events replay 'tool.*' node.joined --from 1h --follow
              mesh-events replay --from 4711 --limit 100
              mesh-events replay --from 10m --speed 60
              mesh-events replay --follow --json | jq .sequence

            With --json a line is the event as this program emits it, with the members sequence (its place in the stream) and \
            stored (when the stream took it) behind the others.
            """
    )

    @Argument(help: ArgumentHelp("Which events, for example 'tool.*'. Default: all.", valueName: "pattern"))
    var patterns: [String] = []

    @Option(help: ArgumentHelp("Where to begin: beginning, new, a sequence, or when.", valueName: "start"))
    var from = "beginning"

    @Flag(help: "Go on with what comes, until Ctrl-C.")
    var follow = false

    @Option(help: ArgumentHelp("How fast: max, real, or a factor.", valueName: "max|real|factor"))
    var speed = "max"

    @Option(help: ArgumentHelp("End after so many events.", valueName: "n"))
    var limit: Int?

    @Option(help: ArgumentHelp("Print only events of this node.", valueName: "name"))
    var node: String?

    @OptionGroup var output: EventOutputOptions
    @OptionGroup(title: "Signatures") var trust: TrustOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        if let limit, limit < 1 { throw CommandFailure(.usage, "--limit must be at least 1, not \(limit)") }
        let patterns = try PatternText.patterns(patterns)
        let start = try ReplayStartText.parse(from)
        let pace = try ReplayPace(speed)
        let verification = try trust.verification()
        let stop = StopRequest()
        Signals.install(stop)
        OutputWatch.install(stop)
        _ = try await stop.race { try await replay(patterns, start, pace, verification, stop) }
    }

    private func replay(
        _ patterns: [EventPattern],
        _ start: ReplayStart,
        _ pace: ReplayPace,
        _ verification: SignatureVerification?,
        _ stop: StopRequest
    ) async throws {
        let transport = try await connection.connect(name: "mesh-events replay")
        let report = Task {
            await ConnectionReport(connection: transport.connection, missing: "nothing will be missing").run()
        }
        defer { report.cancel() }
        let replay = try await StreamAbsence.noted(at: connection) {
            try await EventReplay(
                store: connection.store(transport),
                verification: verification,
                logger: Silence.logger
            )
            .open(matching: patterns, from: start)
        }
        guard let replay else {
            if follow { try await live(transport, patterns, verification, stop) }
            return await transport.close()
        }
        defer {
            TrustOptions.reportRejected(replay.rejected)
            MalformedReport.sayStored(replay.malformed)
        }
        try await print(replay, pace, stop)
        replay.cancel()
        await transport.close()
    }

    /// Prints live events, because there is no stream.
    private func live(
        _ transport: NATSTransport,
        _ patterns: [EventPattern],
        _ verification: SignatureVerification?,
        _ stop: StopRequest
    ) async throws {
        let bus = EventBus.listening(on: transport, verification: verification)
        let subscription = try await bus.subscribe(buffer: LiveEvents.buffer)
        Diagnostics.say("what comes is shown (Ctrl-C ends), but not what comes while the connection is lost")
        defer { TrustOptions.reportRejected(subscription.rejected) }
        var printer = EventPrinter(output.chosen, marks: trust.marks, stop: stop)
        var events = LiveEvents(subscription)
        try await events.print(with: &printer, limit: limit) { event in
            guard patterns.contains(where: { $0.matches(event.type) }) else { return false }
            if let node, event.node != node { return false }
            trust.note(event)
            return true
        }
    }

    private func print(_ replay: ReplaySubscription, _ pace: ReplayPace, _ stop: StopRequest) async throws {
        var pace = pace
        var printer = EventPrinter(output.chosen, marks: trust.marks, stop: stop)
        var count = 0
        for try await element in replay {
            switch element {
            case .event(let stored):
                if let node, stored.event.node != node { continue }
                try await pace.wait(for: stored)
                trust.note(stored.event)
                try printer.print(stored)
                count += 1
                if count == limit { return }
            case .gap(let gap):
                Diagnostics.say(
                    "the stream no longer has \(gap): \(gap.count == 1 ? "an event" : "events") may be missing here"
                )
            case .reset(let reset):
                throw CommandFailure(
                    .streamReplaced,
                    "\(reset); what was printed belongs to the former one, begin a new replay for the other"
                )
            case .caughtUp:
                guard follow else { return }
                pace.stop()
                Diagnostics.say("that was all; what comes follows (Ctrl-C ends)")
            }
        }
    }
}
