import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// `mesh-events replay`.
struct ReplayCommand: SignalHandlingCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Print the stored events from a position on, and follow with new ones.",
        usage: """
            mesh-events replay [PATTERN ...] [--from START] [--follow] [--speed max|real|FACTOR] [--limit N] \
            [--node NAME] [--where CONDITION] [--trust FILE] [--json]
            """,
        discussion: """
            Prints the stored events, oldest first, and ends. With --follow it continues with new events, without \
            missing or repeating an event, even when the connection is lost or the server restarted. Standard error \
            names events that the stream dropped before they could be read. When the stream is deleted and created \
            anew meanwhile, the command ends with exit code 76.

            START: `beginning` (the default), `new` (with --follow: only new events), a sequence (17), how long ago \
            (90s, 10m, 2h30m, 1d) or a time in RFC 3339, compared with the time at which the event was stored.

            SPEED: `max` (the default) as fast as possible; `real` with the pauses that lay between the events when \
            they were stored; 10 ten times as fast, 0.5 half as fast. Live events are never delayed.

            PATTERN: dots separate tokens, * stands for one token, > at the end for all that follow. The prefix \
            `events.` may be left out. Quote it, because the shell interprets * and >. Of several patterns, one has to \
            match.

            EXAMPLES
              mesh-events replay
              mesh-events replay 'tool.*' node.joined --from 1h --follow
              mesh-events replay tool.crashed --where 'exit_code = 137'
              mesh-events replay --from 4711 --limit 100
              mesh-events replay --from 10m --speed 60
              mesh-events replay --follow --json | jq .sequence

            With --json a line is the event as this program emits it, followed by the members sequence (in the stream) \
            and stored (the time of storing).
            """
    )

    @Argument(help: ArgumentHelp("Which events, for example 'tool.*'. Default: all.", valueName: "pattern"))
    var patterns: [String] = []

    @Option(help: ArgumentHelp("Where to begin: beginning, new, a sequence, or when.", valueName: "start"))
    var from = "beginning"

    @Flag(help: "Continue with new events, until Ctrl-C.")
    var follow = false

    @Option(help: ArgumentHelp("How fast: max, real, or a factor.", valueName: "max|real|factor"))
    var speed = "max"

    @Option(help: ArgumentHelp("End after this number of events.", valueName: "n"))
    var limit: Int?

    @Option(help: ArgumentHelp("Print only events about this node.", valueName: "name"))
    var node: String?

    @OptionGroup var conditions: WhereOptions
    @OptionGroup var output: EventOutputOptions
    @OptionGroup(title: "Signatures") var trust: TrustOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        if let limit, limit < 1 { throw CommandFailure(.usage, "--limit must be at least 1, not \(limit)") }
        let patterns = try PatternArgument.patterns(patterns)
        let selection = EventSelection(node: node, filter: try conditions.filter())
        let start = try ReplayStartArgument.parse(from)
        let pace = try ReplayPace(speed)
        let verification = try trust.verification()
        let stop = StopRequest()
        Signals.install(stop)
        OutputWatch.install(stop)
        _ = try await stop.race { try await replay(patterns, selection, start, pace, verification, stop) }
    }

    private func replay(
        _ patterns: [EventPattern],
        _ selection: EventSelection,
        _ start: StreamStart,
        _ pace: ReplayPace,
        _ verification: SignatureVerification?,
        _ stop: StopRequest
    ) async throws {
        let transport = try await connection.connect(name: "mesh-events replay")
        let missing = "nothing will be missing"
        try await ConnectionReport(connection: transport.connection, missing: missing).during {
            let replay = try await StreamAbsence(connection, transport).noted(showsLive: follow) {
                try await EventReplay(
                    store: connection.store(transport),
                    verification: verification,
                    logger: .disabled
                )
                .open(matching: patterns, filter: selection.filter, from: start)
            }
            guard let replay else {
                if follow { try await live(transport, patterns, selection, verification, stop) }
                return await transport.close()
            }
            defer {
                TrustOptions.reportRejected(replay.rejected)
                MalformedReport.sayStored(replay.malformed)
            }
            replay.whenTroubled(TroubleReport(missing: missing).tell)
            try await print(replay, pace, stop)
            replay.cancel()
            await transport.close()
        }
    }

    /// Prints live events, because there is no stream.
    private func live(
        _ transport: NATSTransport,
        _ patterns: [EventPattern],
        _ selection: EventSelection,
        _ verification: SignatureVerification?,
        _ stop: StopRequest
    ) async throws {
        let bus = EventBus.listening(on: transport, verification: verification)
        let subscription = try await bus.subscribe(
            to: patterns.count == 1 ? patterns[0] : .all,
            buffer: LiveEvents.buffer
        )
        Diagnostics.say("live events are shown (Ctrl-C ends), except those from while the connection is lost")
        defer { TrustOptions.reportRejected(subscription.rejected) }
        var printer = EventPrinter(output.chosen, marks: trust.marks, stop: stop)
        var events = LiveEvents(subscription)
        try await events.print(with: &printer, limit: limit) { event in
            guard patterns.contains(where: { $0.matches(event.type) }) else { return false }
            guard selection.includes(event) else { return false }
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
                if let node, stored.event.affectedNode != node { continue }
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
                    "\(reset); the printed events belong to the former stream, begin a new replay for the present one"
                )
            case .caughtUp:
                guard follow else { return }
                pace.stop()
                Diagnostics.say("all stored events are printed; new ones follow (Ctrl-C ends)")
            }
        }
    }
}

/// Delays replayed events, so that they follow each other as they were stored.
struct ReplayPace {
    /// The speed relative to the times of storing; `nil` for as fast as possible.
    private(set) var factor: Double?
    private var begin: (wall: ContinuousClock.Instant, stored: Timestamp)?

    /// Reads `max`, `real` or a factor.
    ///
    /// - Throws: `CommandFailure`, usage.
    init(_ text: String) throws {
        switch text {
        case "max": factor = nil
        case "real": factor = 1
        default:
            let number = text.hasSuffix("x") ? String(text.dropLast()) : text
            guard let value = Double(number), value >= 0.001, value <= 1_000_000 else {
                throw CommandFailure(
                    .usage,
                    "--speed is max, real or a factor from 0.001 to 1000000, not \(text.debugDescription)"
                )
            }
            factor = value
        }
    }

    /// Ends the delays.
    mutating func stop() { factor = nil }

    /// The time at which an event is due; `nil` for at once.
    mutating func delay(of stored: Timestamp, now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        guard let factor else { return nil }
        guard let begin else {
            begin = (now, stored)
            return nil
        }
        return begin.wall + max(.zero, stored.duration(since: begin.stored)) / factor
    }

    /// Suspends until an event is due.
    mutating func wait(for event: StoredEvent) async throws {
        guard let due = delay(of: event.storedAt, now: .now), due > .now else { return }
        try await Task.sleep(until: due)
    }
}
