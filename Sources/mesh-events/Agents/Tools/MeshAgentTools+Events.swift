import MeshConcurrency
import MeshEvents
import MeshEventsNATS

extension MeshAgentTools {
    private static let patternMeaning: OwnWords = """
        Types or patterns: `tool.crashed`; `tool.*` has * for one part; `user.>` has > at the end for all that follow.
        """
    private static let conditionField = AgentField(
        "where",
        .texts(atMost: 16, each: 512),
        """
        Conditions on the data, all of which have to hold: `resources.cpu > 0.9`, `tool = whis*`, `tool in a, b`, `error` (is \
        there), `!error`.
        """
    )
    private static let sinceMeaning: OwnWords = "How long ago (90s, 10m, 2h30m, 1d), or a time in RFC 3339."

    // MARK: list_events

    /// `list_events`.
    var listEvents: AgentTool {
        AgentTool(
            name: "list_events",
            title: "Stored events",
            description: """
                The newest stored events that match, oldest first: what happened in the mesh. The stream keeps them for a day, \
                and its archive for a week, as a rule.
                """,
            fields: [
                AgentField("types", .texts(atMost: 8, each: 256), Self.patternMeaning),
                AgentField("node", .text(atMost: Self.longestName), "Only events about this node."),
                Self.conditionField,
                AgentField("since", .text(atMost: 64), "Only events stored then or later. \(Self.sinceMeaning)"),
                AgentField("until", .text(atMost: 64), "Only events stored then or earlier. \(Self.sinceMeaning)"),
                AgentField("limit", .integer(1...200, standard: 20), "The most events in the answer."),
                AgentField("cursor", .text(atMost: 64), "Only events before this: the `cursor` of an earlier answer."),
            ],
            run: { arguments, _ in try await list(arguments) }
        )
    }

    private func list(_ arguments: AgentArguments) async throws -> AgentAnswer {
        let now = Timestamp.now
        let cursor = arguments.text("cursor").map { StreamPosition($0) }
        if let cursor, cursor == nil {
            throw AgentFailure(.invalidArguments, "`cursor` is none: take it from `cursor` of an earlier answer.")
        }
        var query = EventHistory.Query(
            matching: try PatternArgument.patterns(arguments.texts("types")),
            since: try arguments.text("since").map { try TimeBound.parse($0, option: "since", now: now) },
            until: try arguments.text("until").map { try TimeBound.parse($0, option: "until", now: now) },
            node: arguments.text("node"),
            filter: try EventFilter(arguments.texts("where")),
            limit: arguments.integer("limit"),
            before: (cursor ?? nil)?.sequence
        )
        query.created = (cursor ?? nil)?.created
        // Large events are cut, so that few of them make an answer.
        query.byteLimit = 8 << 20
        let found = try await newest(query)
        var data = UntrustedData()
        let count = data.add("events", list: found.events.lazy.map { Self.json($0) }, keepsLast: true)
        // What had no room is in the next answer.
        let next = count < found.events.count ? found.events.suffix(count).first?.sequence : found.next?.before
        var words: [OwnWords] = [
            count == 0 ? "No stored event matches." : "\(count) stored events match, oldest first."
        ]
        if let next {
            data.add("cursor", .string(StreamPosition(next, created: found.created).text))
            words.append("There may be older ones: call again with the same arguments and `cursor` from the data.")
        }
        if found.isSilent { words.append("The stream stopped answering meanwhile: older events were not looked at.") }
        if found.rejected > 0 { words.append("\(found.rejected) were left out: their node has not signed them.") }
        return AgentAnswer(words, data)
    }

    /// How many bytes are read in one go; what comes from a slow link in the first ones is an answer. What is rarer is
    /// looked for in the next call.
    private static let goes = [128 << 10, 512 << 10, 2 << 20] + Array(repeating: 8 << 20, count: 7)
    /// After how long no further go begins.
    private static let lookingTime: Duration = .seconds(15)

    /// Stored events that were found.
    private struct Found {
        /// They, oldest first.
        var events: [StoredEvent] = []
        /// What looks for older ones; `nil` when there are none.
        var next: EventHistory.Query?
        var created: Timestamp?
        var rejected = 0
        /// Whether the stream has stopped answering.
        var isSilent = false
    }

    /// The newest events of a query, as many as it asks for and as can be looked at in time.
    ///
    /// - Throws: when nothing could be read.
    private func newest(_ query: EventHistory.Query) async throws -> Found {
        let end = ContinuousClock.now + Self.lookingTime
        var found = Found(next: query)
        for (number, bytes) in Self.goes.enumerated() {
            guard var next = found.next, found.events.count < query.limit, .now < end else { break }
            next.limit = query.limit - found.events.count
            next.scanByteLimit = bytes
            let asked = next
            let answer = try await ifAnswered { try await link.withHistory { try await $0.page(asked) } }
            guard let page = answer else {
                // What was read before is an answer.
                guard number > 0 else { throw AgentFailure.silent(for: link.silence) }
                found.isSilent = true
                break
            }
            found.events = page.events + found.events
            found.rejected += page.rejected
            (found.next, found.created) = (asked.next(after: page), page.created)
        }
        return found
    }

    // MARK: wait_for_event

    /// `wait_for_event`.
    var waitForEvent: AgentTool {
        AgentTool(
            name: "wait_for_event",
            title: "Wait for an event",
            description: """
                Waits until an event happens, and returns it; or says that it has not happened in that time. It waits for events \
                from now on; with `since` earlier ones count, too.
                """,
            fields: [
                AgentField("type", .text(atMost: 256), isRequired: true, Self.patternMeaning),
                AgentField("node", .text(atMost: Self.longestName), "Only events about this node."),
                AgentField("tool", .text(atMost: Self.longestName), "Only events about this tool."),
                Self.conditionField,
                AgentField("since", .text(atMost: 64), "Let events stored since then count too. \(Self.sinceMeaning)"),
                AgentField("timeout_s", .integer(1...600, standard: 60), "How long to wait, in seconds."),
            ],
            limit: { .seconds($0.integer("timeout_s") + 20) },
            run: { arguments, _ in try await wait(arguments) }
        )
    }

    private func wait(_ arguments: AgentArguments) async throws -> AgentAnswer {
        let awaited = try AwaitedEvent(
            pattern: try PatternArgument.pattern(try arguments.required("type")),
            node: arguments.text("node"),
            tool: arguments.text("tool"),
            where: try EventFilter(arguments.texts("where"))
        )
        let since = try arguments.text("since").map { try TimeBound.parse($0, option: "since") }
        let seconds = arguments.integer("timeout_s")
        let wait = try await link.wait(for: awaited, since: since)
        let stop = StopRequest()
        let found = try await stop.withTimeLimit(.seconds(seconds)) {
            try await stop.race { try await wait.first(in: try await wait.open()) }
        }
        try Task.checkCancellation()
        guard let found = found ?? nil else {
            guard case .timeUp = stop.reason else { throw AgentFailure.unreachable(nil) }
            guard wait.looks.isSent else {
                throw AgentFailure(
                    .timeout,
                    "Whether it happened is not known: the server did not answer within \(seconds) s."
                )
            }
            var data = UntrustedData()
            data.add("event", .null)
            return AgentAnswer(["It has not happened within \(seconds) s. Call again to wait on."], data)
        }
        var data = UntrustedData()
        switch found {
        case .stored(let stored): data.add("event", Self.json(stored))
        case .live(let event): data.add("event", .object(JSONObject(Self.json(event))))
        }
        return AgentAnswer(["It has happened."], data)
    }
}
