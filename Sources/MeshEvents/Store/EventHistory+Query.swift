extension EventHistory {
    /// What to look for.
    public struct Query: Sendable, Hashable {
        /// Which events. Default: all of them.
        public var pattern: EventPattern
        /// Only events stored at this time or later.
        public var since: Timestamp?
        /// Only events stored at this time or earlier.
        public var until: Timestamp?
        /// Only events of this node.
        public var node: String?
        /// How many events at most, from 1. Default 50.
        public var limit: Int
        /// Only events whose sequence is below this: a page's ``Page/cursor``.
        public var before: UInt64?
        /// How long all of it may take. Default 30 seconds.
        public var timeout: Duration

        /// Creates a query; the default is the newest 50 of all events.
        public init(
            matching pattern: EventPattern = .all,
            since: Timestamp? = nil,
            until: Timestamp? = nil,
            node: String? = nil,
            limit: Int = 50,
            before: UInt64? = nil,
            timeout: Duration = .seconds(30)
        ) {
            self.pattern = pattern
            self.since = since
            self.until = until
            self.node = node
            self.limit = limit
            self.before = before
            self.timeout = timeout
        }

        func validate() throws(MeshEventsError) {
            try pattern.validate()
            guard limit > 0 else {
                throw MeshEventsError(.invalidArgument, "the limit must be at least 1, not \(limit)")
            }
            if let since, let until, since > until {
                throw MeshEventsError(.invalidArgument, "since (\(since)) is later than until (\(until))")
            }
        }
    }

    /// An answer: events, and where to go on.
    public struct Page: Sendable, Hashable {
        /// The events, oldest first.
        public let events: [StoredEvent]
        /// The ``Query/before`` of the page with older events; `nil` when there are none.
        public let cursor: UInt64?
        /// How many messages were skipped because they are not events.
        public let malformed: Int

        /// Creates a page.
        public init(events: [StoredEvent], cursor: UInt64?, malformed: Int) {
            self.events = events
            self.cursor = cursor
            self.malformed = malformed
        }
    }
}

/// A query under way.
struct HistoryReading {
    /// Bounds the raw messages that are held at once.
    private static let maximumReadSize = 16_384

    private let query: EventHistory.Query
    private let reporter: MalformedReporter
    private let deadline: ContinuousClock.Instant
    private var lastReadSize = 0
    private var skipped = 0
    private var malformed = 0
    private var decoder = StoredMessageDecoder()
    /// What was found, in the order of taking.
    private(set) var events: [StoredEvent] = []

    init(_ query: EventHistory.Query, reporter: MalformedReporter) {
        self.query = query
        self.reporter = reporter
        deadline = ContinuousClock.now + query.timeout
    }

    var isFull: Bool { events.count == query.limit }

    /// How many messages to ask for: what is missing, and more when much of what came was of no use.
    var nextReadSize: Int {
        mutating get {
            let missing = query.limit - events.count
            let grown = skipped == 0 ? missing : max(missing, lastReadSize * 2, 64)
            lastReadSize = min(grown, Self.maximumReadSize)
            return lastReadSize
        }
    }

    func timeLeft() throws(MeshEventsError) -> Duration {
        let left = deadline - .now
        guard left > .zero else {
            throw MeshEventsError(
                .timeout,
                "reading the history took longer than \(query.timeout); ask for less or allow more time",
                isRetriable: true
            )
        }
        return left
    }

    mutating func take(_ message: StoredMessage) {
        do throws(MalformedEvent) {
            let event = try decoder.decode(message)
            if let node = query.node, event.node != node {
                skipped += 1
            } else {
                events.append(StoredEvent(event: event, sequence: message.sequence, storedAt: message.storedAt))
            }
        } catch {
            skipped += 1
            malformed += 1
            reporter.report(error)
        }
    }

    /// The page of a reading that went from newest to oldest.
    func page(cursor: UInt64?) -> EventHistory.Page {
        EventHistory.Page(events: events.reversed(), cursor: cursor, malformed: malformed)
    }
}
