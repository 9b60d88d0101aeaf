public import Logging

/// Reads the stored events of a stream, and of its archive when the store is an ``ArchivingEventStore``: there the events
/// have the same sequences and times. Creates and changes nothing.
///
/// Messages that are not events, and events that are not about the node asked for or do not pass the filter, do not count
/// towards a limit: reading continues until enough are found or the stream has no more.
public struct EventHistory: Sendable {
    let store: HistoryStore
    private let reporter: MalformedReporter
    private let admission: SignatureCheck

    /// Creates a reader.
    ///
    /// - Parameters:
    ///   - store: the store with the events; it need not have been opened.
    ///   - verification: how to verify the signatures of events; `nil` to verify none.
    ///   - logger: gets a line about malformed messages and rejected events, at most one a second.
    public init(
        store: some EventStore,
        verification: SignatureVerification? = nil,
        logger: Logger = Logger(label: "mesh-events.history")
    ) {
        self.store = HistoryStore(store)
        reporter = MalformedReporter(logger: logger, callback: nil)
        admission = SignatureCheck(verification, logger: logger)
    }

    /// The newest events that match, oldest first.
    ///
    /// - Parameters:
    ///   - pattern: which events. Default: all of them.
    ///   - filter: only events that pass. Default: all of them.
    ///   - limit: how many at most, from 1.
    /// - Throws: `invalidPattern`, `invalidArgument`, and what the store throws (`streamNotFound`, `timeout` …).
    public func newest(
        _ limit: Int = 50,
        matching pattern: EventPattern = .all,
        filter: EventFilter = EventFilter()
    ) async throws(MeshEventsError) -> [StoredEvent] {
        try await page(Query(matching: pattern, filter: filter, limit: limit)).events
    }

    /// The first events that match from a point in time on, oldest first.
    ///
    /// - Parameters:
    ///   - pattern: which events. Default: all of them.
    ///   - since: the earliest time of storing, inclusive.
    ///   - until: the latest time of storing, inclusive; `nil` for no bound.
    ///   - node: only events about this node; `nil` for all.
    ///   - filter: only events that pass. Default: all of them.
    ///   - limit: how many at most, from 1.
    ///   - timeout: how long the query may get no data while there is something to read.
    /// - Throws: as ``newest(_:matching:filter:)``; `invalidArgument` as well when `since` is later than `until`, or lies
    ///   in the future.
    public func first(
        _ limit: Int = 50,
        matching pattern: EventPattern = .all,
        since: Timestamp,
        until: Timestamp? = nil,
        node: String? = nil,
        filter: EventFilter = EventFilter(),
        timeout: Duration = .seconds(30)
    ) async throws(MeshEventsError) -> [StoredEvent] {
        let query = Query(
            matching: pattern,
            since: since,
            until: until,
            node: node,
            filter: filter,
            limit: limit,
            end: .oldest,
            timeout: timeout
        )
        return try await page(query).events
    }

    /// The events that match a query, oldest first; when there are more than its limit, those at its ``Query/end``.
    ///
    /// - Throws: as ``newest(_:matching:filter:)``; `invalidArgument` as well when `since` is later than `until`, or lies in
    ///   the future; `streamReplaced` when the stream is not the one of ``Query/created``, or is deleted and created
    ///   again meanwhile.
    public func page(_ query: Query) async throws(MeshEventsError) -> Page {
        let (page, isProven) = try await read(query)
        if !isProven { try await checkStream(isOf: page.created, timeout: query.timeout) }
        return page
    }

    /// Reads a page. `isProven` says whether all its events are known to come from the stream of ``Page/created``. Each
    /// later check of the stream proves the events read before it. A page from a single reading needs no further check,
    /// unless the query named a stream.
    func read(_ query: Query) async throws(MeshEventsError) -> (page: Page, isProven: Bool) {
        try query.validate()
        guard query.timeout > .zero else {
            throw MeshEventsError(.timeout, "reading the history has no time left", isRetriable: true)
        }
        var reading = HistoryReading(query, reporter: reporter, admission: admission)
        if let since = query.since {
            try await store.checkIsPast(since, "since", timeout: reading.timeout)
        }
        let range = try await range(of: query, &reading)
        if range.isEmpty {
            // This throws when there is no stream.
            try reading.look(at: try await store.state().created)
            return (reading.page(cursor: nil), true)
        }
        var source = HistorySource(store, query, range)
        while let message = try await source.next(&reading) {
            guard range.contains(message) else { break }
            reading.take(message)
            if reading.isFull {
                return (reading.page(cursor: source.isAtEnd ? nil : message.sequence), reading.isProven)
            }
        }
        return (reading.page(cursor: nil), reading.isProven)
    }

    /// Throws `streamReplaced` when the stream is no longer the one created at this time.
    func checkStream(isOf created: Timestamp?, timeout: Duration) async throws(MeshEventsError) {
        guard created != nil else { return }
        let deadline = ContinuousClock.now + timeout
        while true {
            do throws(MeshEventsError) {
                return try StreamPosition.check(try await store.state().created, isOf: created)
            } catch {
                // The link may be lost repeatedly. The store has retried for some seconds; this retries until the
                // deadline.
                guard error.code == .timeout || error.code == .connectionFailed, .now < deadline, !Task.isCancelled
                else {
                    throw error
                }
            }
        }
    }

    /// The bounds of a query; times become sequences at the end where reading begins.
    private func range(of query: Query, _ reading: inout HistoryReading) async throws(MeshEventsError) -> HistoryRange {
        var range = HistoryRange(query)
        if query.end == .newest, let until = query.until, until.nanosecondsSinceEpoch < .max {
            let after = Timestamp(nanosecondsSinceEpoch: until.nanosecondsSinceEpoch + 1)
            if let later = try await first(at: after, &reading) { range.limit(below: later) }
        }
        if query.end == .oldest, query.after != nil, let since = query.since {
            // There is no event of that time or later, so none matches.
            guard let first = try await first(at: since, &reading) else { return .empty }
            range.limit(from: first)
        }
        // Several readings see the stream at different times: a new event could be in one of them and not in another.
        if query.patterns.count > 1 {
            let state = try await store.state()
            try reading.look(at: state.created)
            range.limit(to: state.lastSequence)
        }
        return range
    }

    private func first(at time: Timestamp, _ reading: inout HistoryReading) async throws(MeshEventsError) -> UInt64? {
        let timeout = reading.timeout
        let part = try await store.first(1, maximumBytes: 1, matching: .all, from: .time(time), timeout: timeout)
        try reading.look(at: part.created)
        return part.messages.first?.sequence
    }
}
