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
            before: (cursor ?? nil)?.sequence,
            timeout: .seconds(20)
        )
        query.created = (cursor ?? nil)?.created
        // Large events are cut, so that few of them make an answer; rare ones are looked for in the next call.
        (query.byteLimit, query.scanLimit, query.scanByteLimit) = (8 << 20, 100_000, 64 << 20)
        let page = try await link.withHistory { [query] in try await $0.page(query) }
        var data = UntrustedData()
        let count = data.add("events", list: page.events.lazy.map { Self.json($0) }, keepsLast: true)
        // What had no room is on the next page.
        let next = count < page.events.count ? page.events.suffix(count).first?.sequence : page.cursor
        var words: [OwnWords] = [
            count == 0 ? "No stored event matches." : "\(count) stored events match, oldest first."
        ]
        if let next {
            data.add("cursor", .string(StreamPosition(next, created: page.created).text))
            words.append("There may be older ones: call again with the same arguments and `cursor` from the data.")
        }
        if page.rejected > 0 { words.append("\(page.rejected) were left out: their node has not signed them.") }
        return AgentAnswer(words, data)
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
