public import Logging

/// Reads back what the stream has kept. Creates and changes nothing.
///
/// Messages that are not events, and events of other nodes than the one asked for, do not use up a limit: reading goes
/// on until enough are found or the stream has no more.
public struct EventHistory: Sendable {
    let store: any EventStore
    private let reporter: MalformedReporter
    private let admission: EventAdmission

    /// Creates a reader.
    ///
    /// - Parameters:
    ///   - store: where the events are; it need not have been opened.
    ///   - verification: looks at the signatures of events; nobody does when `nil`.
    ///   - logger: hears of malformed messages and of rejected events, at most once a second.
    public init(
        store: some EventStore,
        verification: SignatureVerification? = nil,
        logger: Logger = Logger(label: "mesh-events.history")
    ) {
        self.store = store
        reporter = MalformedReporter(logger: logger, callback: nil)
        admission = EventAdmission(verification, logger: logger)
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
    ///   - timeout: how long nothing may come while there is something to read.
    /// - Throws: as ``newest(_:matching:)``; `invalidArgument` as well when `since` is later than `until`, or lies
    ///   in the future.
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
            end: .oldest,
            timeout: timeout
        )
        return try await page(query).events
    }

    /// The events that fit a query: of more than its limit, those at the end it names; in the page oldest first.
    ///
    /// - Throws: as ``newest(_:matching:)``; `invalidArgument` as well when `since` is later than `until`, or lies in
    ///   the future; `streamReplaced` when the stream is another one than ``Query/created`` says, or becomes another one
    ///   meanwhile.
    public func page(_ query: Query) async throws(MeshEventsError) -> Page {
        let (page, isProven) = try await read(query)
        if !isProven { try await checkStream(isOf: page.created, timeout: query.timeout) }
        return page
    }

    /// A page, and whether all of it is known to be the stream's that ``Page/created`` tells. Of several looks at the stream
    /// each proves what was read before it; the one of a page that is read at once needs no proof, there is nothing that
    /// it has to fit to.
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
            // There may be no stream either.
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

    /// Throws `streamReplaced` when the stream is no longer the one that was created then.
    func checkStream(isOf created: Timestamp?, timeout: Duration) async throws(MeshEventsError) {
        guard created != nil else { return }
        let deadline = ContinuousClock.now + timeout
        while true {
            do throws(MeshEventsError) {
                return try StreamPosition.check(try await store.state().created, isOf: created)
            } catch {
                // On a link that is lost again and again: the store has tried for some seconds.
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
            // No event of that time or later: nothing fits.
            guard let first = try await first(at: since, &reading) else { return .empty }
            range.limit(from: first)
        }
        // Several readings see the stream at several moments; what comes meanwhile would be in one and not the other.
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
