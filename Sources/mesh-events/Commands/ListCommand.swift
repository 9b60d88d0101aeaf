import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// `mesh-events list`.
struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the newest stored events, oldest first.",
        usage: """
            mesh-events list [PATTERN ...] [--limit N] [--since WHEN] [--until WHEN] [--node NAME] [--where CONDITION] \
            [--cursor CURSOR] [--trust FILE] [--json | --format FORMAT | --raw]
            """,
        discussion: """
            Prints the newest --limit matching events, the oldest of them first. What the stream no longer has comes \
            from its archive, with the same sequences. The command creates and changes nothing. WHEN is how long ago (90s, 10m, 2h30m, 1d) or a time in RFC 3339; it is compared with the time at \
            which the event was stored.

            When there are older matching events, a line on standard error names their position: `older events: \
            --cursor CURSOR`, a sequence and when the stream was created, 4711-1764367000123456789. With that option \
            the same command prints the previous page, the events whose sequence is below it. A sequence beyond the \
            last event is no bound; 0 and 1 leave nothing. When the stream was deleted and created anew since then, \
            the command ends with exit code 76. A sequence alone, 4711, is taken as one of the present stream.

            PATTERN: dots separate tokens, * stands for one token, > at the end for all that follow. The prefix \
            `events.` may be left out. Quote it, because the shell interprets * and >. Of several patterns, one has to \
            match.

            EXAMPLES
              mesh-events list
              mesh-events list 'tool.*' --limit 10
              mesh-events list tool.crashed 'node.*' --since 1d
              mesh-events list --limit 100 --cursor 4711
              mesh-events list node.health --where 'resources.cpu > 0.9' --limit 5
              mesh-events list --node pi --until 2026-11-24T09:30:00+01:00
              mesh-events list 'user.>' --json --limit 1000 | jq -r .data.file
              mesh-events list --format cloudevents

            With --json a line is the event in the format in which this program emits, whichever program emitted it \
            (type, node, timestamp in UTC, data), followed by the members sequence (in the stream) and stored (the \
            time of storing). --raw prints the stored payload of each event instead, byte for byte.

            With --format cloudevents a line is a CloudEvent 1.0: its source is /mesh/nodes/NODE, its data the event's \
            data; the attributes sequence and stored are those of the stream. Its id is the one the emitter gave it \
            (`mesh-events emit --cloudevents`), else made of the sequence and the time of storing.
            """
    )

    @Argument(help: ArgumentHelp("Which events, for example 'tool.*'. Default: all.", valueName: "pattern"))
    var patterns: [String] = []

    @Option(help: ArgumentHelp("The most events to print.", valueName: "n"))
    var limit = 50

    @Option(help: ArgumentHelp("Only events stored then or later.", valueName: "when"))
    var since: String?

    @Option(help: ArgumentHelp("Only events stored then or earlier.", valueName: "when"))
    var until: String?

    @Option(help: ArgumentHelp("Only events about this node.", valueName: "name"))
    var node: String?

    @OptionGroup var conditions: WhereOptions

    @Option(help: ArgumentHelp("Only events before this position, printed by an earlier page.", valueName: "cursor"))
    var cursor: StreamPosition?

    @Flag(help: "Print the stored payload of each event, one per line.")
    var raw = false

    @OptionGroup var output: EventOutputOptions
    @OptionGroup(title: "Signatures") var trust: TrustOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        if raw, output.chosen != .text || trust.marks {
            throw CommandFailure(.usage, "--raw adds nothing to an event; leave out --json, --format and --signatures")
        }
        let query = try query()
        let verification = try trust.verification()
        let transport = try await connection.connect(name: "mesh-events list")
        let history = EventHistory(
            store: try connection.store(transport),
            verification: verification,
            logger: .disabled
        )
        let page = try await StreamAbsence(connection, transport).noted { try await history.page(query) }
        await transport.close()
        guard let page else { return }
        var printer = EventPrinter(output.chosen, marks: trust.marks)
        for stored in page.events { trust.note(stored.event) }
        if raw {
            let output = LineOutput.standard()
            for payload in page.payloads { try output.write(raw: payload) }
        } else {
            try printer.print(page.events)
        }
        TrustOptions.reportRejected(page.rejected)
        MalformedReport.sayStored(page.malformed)
        if let cursor = page.cursor {
            Diagnostics.say("older events: --cursor \(StreamPosition(cursor, created: page.created).text)")
        }
    }

    private func query() throws -> EventHistory.Query {
        guard limit >= 1 else { throw CommandFailure(.usage, "--limit must be at least 1, not \(limit)") }
        let now = Timestamp.now
        let since = try since.map { try TimeBound.parse($0, option: "--since", now: now) }
        let until = try until.map { try TimeBound.parse($0, option: "--until", now: now) }
        if let since, let until, since > until {
            throw CommandFailure(.usage, "--since (\(since)) is later than --until (\(until))")
        }
        var query = EventHistory.Query(
            matching: try PatternArgument.patterns(patterns),
            since: since,
            until: until,
            node: node,
            filter: try conditions.filter(),
            limit: limit,
            before: cursor?.sequence
        )
        query.created = cursor?.created
        query.keepsPayloads = raw
        return query
    }
}

extension StreamPosition: ExpressibleByArgument {
    init?(argument: String) { self.init(argument) }
}
