import MeshEvents
import NIOCore

/// Finds a page of stored events that match a filter, including filters that the store itself cannot apply.
struct EventSearch: Sendable {
    /// How many events one answer may have.
    static let maximumLimit = 1_000
    /// How many bytes of events one answer may have; the rest is in the next page.
    static let maximumBytes = 4 << 20
    /// The most events that are examined for one answer; its cursor says where to continue.
    private static let maximumScan = 10_000
    /// The longest search; then the events found so far are answered, and the cursor says where to continue.
    private static let maximumTime: Duration = .seconds(10)

    let store: any EventStore
    let history: EventHistory
    let gate: QueryGate
    /// Who asks, for their share of the gate.
    let reader: String

    /// The limits of a search, besides the filter.
    struct Bounds: Sendable {
        var since: Timestamp?
        var until: Timestamp?
        /// Only sequences below this, from the newest on.
        var before: StreamPosition?
        /// Only sequences above this, from the oldest on.
        var after: StreamPosition?
        var limit = 200

        /// The query with these bounds, but for the limit.
        ///
        /// - Throws: `streamReplaced` when the two positions are of different streams.
        func query(
            _ patterns: [EventPattern],
            from end: EventHistory.End
        ) throws(MeshEventsError) -> EventHistory.Query {
            var query = EventHistory.Query(
                matching: patterns,
                since: since,
                until: until,
                end: end,
                before: before?.sequence,
                after: after?.sequence
            )
            // When the two positions are of different streams, at least one is not of the present stream.
            let created = [before?.created, after?.created].compactMap(\.self)
            try StreamPosition.check(created.max(), isOf: created.min())
            query.created = created.first
            return query
        }
    }

    /// The events found, as JSON; the events themselves are not kept in memory.
    struct Page: Sendable {
        /// The events' summaries, oldest first.
        var events: [[UInt8]] = []
        /// Where the next page begins; `nil` when there is none.
        var cursor: StreamPosition?
        /// How many messages were skipped because they are not events.
        var malformed = 0

        /// A JSON object with `events`, `cursor` and `malformed`.
        var json: ByteBuffer {
            var buffer = ByteBuffer()
            buffer.reserveCapacity(events.reduce(64) { $0 + $1.count + 1 })
            buffer.writeString(#"{"events":["#)
            for (index, event) in events.enumerated() {
                if index > 0 { buffer.writeString(",") }
                buffer.writeBytes(event)
            }
            buffer.writeString(#"],"cursor":\#(cursor.map { "\"\($0.text)\"" } ?? "null"),"malformed":\#(malformed)}"#)
            return buffer
        }
    }

    /// Reads a page.
    ///
    /// - Throws: as ``EventHistory/page(_:)``; `timeout` after 15 seconds without an answer of the mesh.
    func page(_ filter: PageFilter, _ bounds: Bounds) async throws(MeshEventsError) -> Page {
        guard let patterns = filter.queryPatterns else { return Page() }
        let query = try bounds.query(patterns, from: bounds.after == nil ? .newest : .oldest)
        var pages = try await PageReader(query, store: store, history: history, gate: gate, reader: reader)
        let deadline = ContinuousClock.now + Self.maximumTime
        var found = Found(limit: bounds.limit)
        var left = Self.maximumScan
        while left > 0, .now < deadline, !found.isFull {
            let limit = filter.needsScan ? Int.max : bounds.limit - found.count
            guard let page = try await pages.next(limit: limit, scan: left) else { break }
            left -= page.events.count + page.malformed + page.rejected
            found.malformed += page.malformed
            found.cursor = page.cursor
            let inOrder = query.end == .newest ? page.events.reversed() : page.events
            for (index, stored) in inOrder.enumerated() {
                // To compare large events may take long.
                guard index == 0 || .now < deadline else {
                    found.cursor = inOrder[index - 1].sequence
                    break
                }
                guard filter.matches(stored.event) else { continue }
                let isLast = index == inOrder.count - 1
                guard found.take(try EventJSONFormatter.summary(stored), isLast ? page.cursor : stored.sequence) else {
                    // It did not fit: the next page begins with it.
                    found.cursor = index > 0 ? inOrder[index - 1].sequence : found.position
                    break
                }
                found.position = stored.sequence
                if found.isFull { break }
            }
            if let last = inOrder.last, !found.isFull { found.position = last.sequence }
        }
        return found.page(query.end, created: pages.created)
    }

    /// The events found so far, in the order of reading.
    private struct Found {
        let limit: Int
        var cursor: UInt64?
        var malformed = 0
        /// The last sequence that was examined.
        var position: UInt64?
        private(set) var isFull = false
        private var texts: [[UInt8]] = []
        private var bytes = 0

        init(limit: Int) { self.limit = limit }

        var count: Int { texts.count }

        /// Takes in an event.
        ///
        /// - Returns: Whether there was room; the first event always has room.
        mutating func take(_ text: [UInt8], _ next: UInt64?) -> Bool {
            guard texts.isEmpty || bytes + text.count <= EventSearch.maximumBytes else {
                isFull = true
                return false
            }
            texts.append(text)
            bytes += text.count
            if texts.count == limit { (isFull, cursor) = (true, next) }
            return true
        }

        func page(_ end: EventHistory.End, created: Timestamp?) -> Page {
            Page(
                events: end == .newest ? texts.reversed() : texts,
                cursor: cursor.map { StreamPosition($0, created: created) },
                malformed: malformed
            )
        }
    }
}
