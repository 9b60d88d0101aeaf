import MeshEvents

/// The newest stored events about a node or a tool, and how often tools were restarted lately.
struct RecentEvents: Sendable, Equatable {
    /// The newest events, at most ``RecentEventReader/shown``, oldest first.
    var events: [StoredEvent] = []
    /// Whether there are no older ones that should be among them: reading was not ended by a limit.
    var isWhole = true
    /// How often each tool was restarted after a crash within the last hour.
    var restarts: [String: Int] = [:]
    /// Whether every event of the last hour was counted. Otherwise there may have been more restarts.
    var isWholeHour = true
    /// The last crash, or the last failed run by a schedule, of the tool that was asked about; `nil` when there is none, or it was not found.
    var lastCrash: StoredEvent?

    /// The most lines and bytes of a crash's output that are shown.
    private static let shownOutput = OutputTail(lines: 200, bytes: 16 << 10, lineBytes: 1 << 10)

    /// The last lines that the tool wrote before its last crash. Others wrote them: escape them.
    var crashOutput: [String] {
        guard let event = lastCrash?.event else { return [] }
        let output =
            event.type == .toolFinished
            ? (try? ToolFinished(eventData: event.data))?.output : (try? ToolCrashed(eventData: event.data))?.output
        return Self.shownOutput.applied(to: output ?? [])
    }

    /// How often tools were restarted after a crash.
    ///
    /// - Parameter events: events of the types ``RecentEventReader/runPatterns``, oldest first.
    static func restarts(_ events: [StoredEvent]) -> [String: Int] {
        var crashed: Set<String> = []
        return events.reduce(into: [:]) { counts, stored in
            let data = stored.event.data
            guard let tool = data["tool"]?.string else { return }
            switch stored.event.type {
            case .toolCrashed where !ToolCrashed.isFinal(data):
                crashed.insert(tool)
            case .toolStarted: if crashed.remove(tool) != nil { counts[tool, default: 0] += 1 }
            default: crashed.remove(tool)
            }
        }
    }
}

/// Reads the newest events about a node or a tool. Names of nodes are in the events, not in their subjects: the reading
/// goes through the events of other nodes, too, and is therefore bounded in messages, bytes and time.
struct RecentEventReader: Sendable {
    /// How many events are shown.
    static let shown = 5
    /// The events about nodes and tools, health events aside: these would push all others out.
    static let nodePatterns: [EventPattern] = [
        .allTools, .nodeJoined, .nodeLeft, .nodeUnreachable, .nodeRecovered, .nodeForgotten, .nodeMaintenance,
    ]
    /// The events that tell of restarts.
    static let runPatterns: [EventPattern] = [.toolCrashed, .toolStarted, .toolStopped]

    /// How many messages each page reads. The events are mostly found in the first one.
    private static let pages = [64, 512, 4_096, 8_192, 8_192, 8_192]
    /// How many bytes a page reads.
    private static let pageBytes = 8 << 20
    /// After how long no further page is read.
    private static let patience: Duration = .seconds(2)

    let history: EventHistory

    /// Reads what is known of a node, or of one of its tools.
    ///
    /// - Parameter now: the server's time.
    func read(node: String, tool: String?, now: Timestamp) async throws -> RecentEvents {
        var recent = RecentEvents()
        let patterns = tool == nil ? Self.nodePatterns : [.allTools]
        (recent.events, recent.isWhole) = try await newest(Self.shown, query(patterns, node), tool)
        var lately = query(Self.runPatterns, node)
        lately.since = now.subtracting(.seconds(3_600))
        let (runs, isWhole) = try await newest(.max, lately, tool)
        (recent.restarts, recent.isWholeHour) = (RecentEvents.restarts(runs), isWhole)
        guard tool != nil else { return recent }
        recent.lastCrash = (runs + recent.events).filter { Self.isFailure($0.event) }.max { $0.sequence < $1.sequence }
        if recent.lastCrash == nil {
            recent.lastCrash = try await newest(1, query([.toolCrashed], node), tool).events.last
        }
        return recent
    }

    private static func isFailure(_ event: Event) -> Bool {
        event.type == .toolCrashed || event.type == .toolFinished && event.data["failed"]?.bool == true
    }

    private func query(_ patterns: [EventPattern], _ node: String) -> EventHistory.Query {
        var query = EventHistory.Query(matching: patterns, node: node, timeout: .seconds(5))
        query.scanByteLimit = Self.pageBytes
        return query
    }

    /// The newest events of a query, at most `count`, oldest first, and whether no limit ended the reading before.
    private func newest(
        _ count: Int,
        _ query: EventHistory.Query,
        _ tool: String?
    ) async throws -> (events: [StoredEvent], isWhole: Bool) {
        let deadline = ContinuousClock.now + Self.patience
        var (events, query): ([StoredEvent], EventHistory.Query) = ([], query)
        for messages in Self.pages {
            // Of so many messages, as many may match.
            (query.limit, query.scanLimit) = (messages, messages)
            let page = try await history.page(query)
            events = page.events.filter { tool == nil || $0.event.data["tool"]?.string == tool } + events
            guard events.count < count, let next = query.next(after: page) else { return (events.suffix(count), true) }
            guard .now < deadline else { break }
            query = next
        }
        return (events, false)
    }
}
