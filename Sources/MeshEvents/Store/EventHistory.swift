public import Logging

/// Reads back what the stream has kept. Creates and changes nothing.
///
/// Messages that are not events, and events of other nodes than the one asked for, do not use up a limit: reading goes
/// on until enough are found or the stream has no more.
public struct EventHistory: Sendable {
    private let store: any EventStore
    private let reporter: MalformedReporter

    /// Creates a reader.
    ///
    /// - Parameters:
    ///   - store: where the events are; it need not have been opened.
    ///   - logger: hears of malformed messages, at most once a second.
    public init(store: some EventStore, logger: Logger = Logger(label: "mesh-events.history")) {
        self.store = store
        reporter = MalformedReporter(logger: logger, callback: nil)
    }

    /// The newest events that match, oldest first.
    ///
    /// - Parameters:
    ///   - pattern: which events. Default: all of them.
    ///   - limit: how many at most, from 1.
    /// - Throws: `invalidPattern`, `invalidArgument`, and what the store throws (`streamNotFound`, `timeout` …).
    public func newest(
        _ limit: Int = 50,
        matching pattern: EventPattern = .all
    ) async throws(MeshEventsError) -> [StoredEvent] {
        try await page(Query(matching: pattern, limit: limit)).events
    }

    /// The first events that match from a point in time on, oldest first.
    ///
    /// - Parameters:
    ///   - pattern: which events. Default: all of them.
    ///   - since: the earliest time of storing, inclusive.
    ///   - until: the latest time of storing, inclusive; `nil` for no bound.
    ///   - node: only events of this node; `nil` for all.
    ///   - limit: how many at most, from 1.
    ///   - timeout: how long all of it may take.
    /// - Throws: as ``newest(_:matching:)``; `invalidArgument` as well when `since` is later than `until`.
    public func first(
        _ limit: Int = 50,
        matching pattern: EventPattern = .all,
        since: Timestamp,
        until: Timestamp? = nil,
        node: String? = nil,
        timeout: Duration = .seconds(30)
    ) async throws(MeshEventsError) -> [StoredEvent] {
        let query = Query(
            matching: pattern,
            since: since,
            until: until,
            node: node,
            limit: limit,
            timeout: timeout
        )
        try query.validate()
        var reading = HistoryReading(query, reporter: reporter)
        var start = StorePosition.time(since)
        while true {
            let wanted = reading.nextReadSize
            let messages = try await store.first(
                wanted,
                matching: pattern,
                from: start,
                timeout: try reading.timeLeft()
            )
            for message in messages {
                if let until, message.storedAt > until { return reading.events }
                reading.take(message)
                if reading.isFull { return reading.events }
            }
            guard messages.count >= wanted, let last = messages.last else { return reading.events }
            start = .sequence(last.sequence + 1)
        }
    }

    /// The newest events that fit a query, oldest first, with the cursor to those before them.
    ///
    /// - Throws: as ``newest(_:matching:)``; `invalidArgument` as well when `since` is later than `until`.
    public func page(_ query: Query) async throws(MeshEventsError) -> Page {
        try query.validate()
        var reading = HistoryReading(query, reporter: reporter)
        var before = try await upperBound(of: query, timeout: try reading.timeLeft())
        while true {
            let wanted = reading.nextReadSize
            let messages = try await store.newest(
                wanted,
                matching: query.pattern,
                before: before,
                timeout: try reading.timeLeft()
            )
            for message in messages.reversed() {
                if let since = query.since, message.storedAt < since { return reading.page(cursor: nil) }
                reading.take(message)
                guard reading.isFull else { continue }
                let isOldest = messages.count < wanted && message.sequence == messages.first?.sequence
                return reading.page(cursor: isOldest ? nil : message.sequence)
            }
            guard messages.count >= wanted, let oldest = messages.first else { return reading.page(cursor: nil) }
            before = oldest.sequence
        }
    }

    /// The sequence that everything wanted lies below; `nil` when there is no such bound.
    private func upperBound(of query: Query, timeout: Duration) async throws(MeshEventsError) -> UInt64? {
        guard let until = query.until, until.nanosecondsSinceEpoch < .max else { return query.before }
        let after = Timestamp(nanosecondsSinceEpoch: until.nanosecondsSinceEpoch + 1)
        let later = try await store.first(1, matching: .all, from: .time(after), timeout: timeout)
        guard let sequence = later.first?.sequence else { return query.before }
        return min(sequence, query.before ?? sequence)
    }
}
