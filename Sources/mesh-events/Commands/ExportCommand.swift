import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// `mesh-events export`.
struct ExportCommand: SignalHandlingCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write the stored events to a file, one per line.",
        usage: """
            mesh-events export [PATTERN ...] [--out FILE|-] [--since WHEN] [--until WHEN] [--node NAME] \
            [--where CONDITION] [--trust FILE] [--format FORMAT]
            """,
        discussion: """
            Writes all matching events, those of the archive too, oldest first, as NDJSON: the event as this program emits it, followed by the \
            members sequence (in the stream) and stored (the time of storing). `mesh-events import` reads it back. It \
            needs no more memory for many events than for few. On a terminal a bar on standard error shows the \
            progress. When the stream is deleted and created anew meanwhile, the command ends with exit code 76; the \
            written events are of the former stream.

            WHEN is how long ago (90s, 10m, 2h30m, 1d) or a time in RFC 3339; it is compared with the time at which \
            the event was stored.

            EXAMPLES
              mesh-events export --out events.ndjson
              mesh-events export 'tool.*' 'node.*' --since 1d | gzip > lifecycle.ndjson.gz
              mesh-events export node.health --where 'resources.cpu > 0.9' --out hot.ndjson
              mesh-events export --format cloudevents --out events.cloudevents
              mesh-events export --trust trust --out events.ndjson   # only signed

            With --trust, events that their node has not signed are left out; standard error says how many. The \
            signatures themselves are not exported.

            With --format cloudevents a line is a CloudEvent 1.0, as `mesh-events list --help` describes; \
            `mesh-events import --format cloudevents` reads it back.
            """
    )

    @Argument(help: ArgumentHelp("Which events, for example 'tool.*'. Default: all.", valueName: "pattern"))
    var patterns: [String] = []

    @Option(help: ArgumentHelp("The file to write; - is standard output, the default.", valueName: "file|-"))
    var out = "-"

    @Option(help: ArgumentHelp("Only events stored then or later.", valueName: "when"))
    var since: String?

    @Option(help: ArgumentHelp("Only events stored then or earlier.", valueName: "when"))
    var until: String?

    @Option(help: ArgumentHelp("Only events about this node.", valueName: "name"))
    var node: String?

    @OptionGroup var conditions: WhereOptions

    @Option(help: ArgumentHelp("The format of the lines: json or cloudevents.", valueName: "format"))
    var format = LineFormat.json

    @OptionGroup(title: "Signatures") var trust: TrustOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let patterns = try PatternArgument.patterns(patterns)
        let now = Timestamp.now
        let since = try since.map { try TimeBound.parse($0, option: "--since", now: now) }
        let until = try until.map { try TimeBound.parse($0, option: "--until", now: now) }
        if let since, let until, since > until {
            throw CommandFailure(.usage, "--since (\(since)) is later than --until (\(until))")
        }
        var verification = try trust.verification()
        // The events pass, because this command leaves them out itself and counts them.
        verification?.policy = .accept
        let query = ExportQuery(
            patterns: patterns,
            since: since,
            until: until,
            filter: try conditions.filter(),
            verification: verification
        )
        let stop = StopRequest()
        Signals.install(stop)
        OutputWatch.install(stop)
        let isDone: Bool? = try await stop.race {
            try await export(query, stop)
            return true
        }
        if isDone == nil, out != "-" {
            throw CommandFailure(.unavailable, "stopped before everything was written; \(out) is not complete")
        }
    }

    private func export(_ query: ExportQuery, _ stop: StopRequest) async throws {
        let transport = try await connection.connect(name: "mesh-events export")
        let store = try connection.store(transport)
        let state = try await StreamAbsence(connection, transport).noted { try await store.state() }
        var file = try LineFile(path: out, stop: stop)
        guard let state else {
            try file.close()
            return await transport.close()
        }
        let archived = try? await store.archive(ofStreamCreated: state.created)?.state()
        let sequences =
            min(state.firstSequence, archived?.firstSequence ?? .max)...max(state.lastSequence, state.firstSequence)
        var bar = ProgressBar(verb: "exported")
        let text = EventLineFormatter(
            format,
            isForTerminal: out == "-" && Terminal.output.isTerminal,
            marks: trust.marks
        )
        var count = 0
        var rejected = 0
        var events = EventHistory(store: store, verification: query.verification, logger: .disabled)
            .events(matching: query.patterns, since: query.since, until: query.until, node: node, filter: query.filter)
            .makeAsyncIterator()
        while let stored = try await events.next() {
            if trust.leavesOut(stored.event) {
                rejected += 1
                continue
            }
            trust.note(stored.event)
            try file.write(text.line(stored))
            count += 1
            bar.show(count, fraction: Self.fraction(stored.sequence, of: sequences))
        }
        try file.close()
        bar.finish(count, fraction: 1)
        TrustOptions.reportRejected(rejected)
        MalformedReport.sayStored(events.malformed)
        if out != "-", !Terminal.error.isTerminal {
            Diagnostics.say("exported \(count) \(count == 1 ? "event" : "events") to \(out)")
        }
        await transport.close()
    }

    /// The position of a sequence among those that are stored, from 0 to 1.
    private static func fraction(_ sequence: UInt64, of stored: ClosedRange<UInt64>) -> Double {
        guard sequence >= stored.lowerBound else { return 0 }
        return (Double(sequence - stored.lowerBound) + 1) / (Double(stored.upperBound - stored.lowerBound) + 1)
    }
}

/// Which events to export.
private struct ExportQuery: Sendable {
    let patterns: [EventPattern]
    let since: Timestamp?
    let until: Timestamp?
    let filter: EventFilter
    let verification: SignatureVerification?
}
