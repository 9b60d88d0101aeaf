import MeshEvents

/// A page of stored events that fit a filter, also where the store cannot tell.
struct EventSearch: Sendable {
    /// How many events one answer may have.
    static let maximumLimit = 1_000
    /// So many events are looked through at most for one answer; its cursor says where to go on.
    private static let maximumScan = 10_000
    private static let pageSize = 500

    let history: EventHistory

    /// What to look for beyond the filter.
    struct Bounds: Sendable {
        var since: Timestamp?
        var until: Timestamp?
        /// Only sequences below this; the newest ones.
        var before: UInt64?
        /// Only sequences above this; the oldest ones.
        var after: UInt64?
        var limit = 200
    }

    /// The events, oldest first, and where the next page begins.
    ///
    /// - Throws: as ``EventHistory/page(_:)``; `timeout` after 15 seconds.
    func page(_ filter: EventFilter, _ bounds: Bounds) async throws(MeshEventsError) -> EventHistory.Page {
        guard let patterns = filter.queryPatterns else { return .init(events: [], cursor: nil, malformed: 0) }
        var query = EventHistory.Query(
            matching: patterns,
            since: bounds.since,
            until: bounds.until,
            node: filter.nodes.count == 1 ? filter.nodes[0] : nil,
            limit: filter.needsScan ? Self.pageSize : bounds.limit,
            end: bounds.after == nil ? .newest : .oldest,
            before: bounds.before,
            after: bounds.after,
            timeout: .seconds(15)
        )
        guard filter.needsScan else { return try await history.page(query) }
        // In the order of taking; the newest come first unless it was asked for those after a sequence.
        var found: [StoredEvent] = []
        var scanned = 0
        var malformed = 0
        var cursor: UInt64?
        search: while true {
            let page = try await history.page(query)
            malformed += page.malformed
            scanned += page.events.count
            for stored in query.end == .newest ? page.events.reversed() : page.events where filter.matches(stored.event)
            {
                found.append(stored)
                if found.count == bounds.limit {
                    cursor = stored.sequence
                    break search
                }
            }
            cursor = page.cursor
            guard scanned < Self.maximumScan, let next = query.next(after: page) else { break }
            query = next
        }
        if query.end == .newest { found.reverse() }
        return EventHistory.Page(events: found, cursor: cursor, malformed: malformed)
    }
}
