extension EventHistory {
    /// Which of the matching events a page has when there are more than the limit.
    public enum End: Sendable, Hashable {
        /// The last ones; the next page has older events.
        case newest
        /// The first ones; the next page has newer events.
        case oldest
    }

    /// What to look for.
    public struct Query: Sendable, Hashable {
        /// Which events: those that match at least one of these, each once. Default: all of them.
        public var patterns: [EventPattern]
        /// Only events stored at this time or later; a time in the future throws `invalidArgument`.
        public var since: Timestamp?
        /// Only events stored at this time or earlier.
        public var until: Timestamp?
        /// Only events about this node; see ``Event/affectedNode``.
        public var node: String?
        /// Only events that pass; those that do not are read and left out. Default: all of them.
        public var filter: EventFilter
        /// How many events at most, from 1. Default 50. A page holds about 64 MiB at most: with large events it ends
        /// earlier, with a cursor.
        public var limit: Int
        /// At which end to begin. Default: with the newest.
        public var end: End
        /// Only events whose sequence is below this. With 0 and 1 the page is empty; a value beyond the stream's last
        /// sequence is no bound.
        public var before: UInt64?
        /// Only events whose sequence is above this. 0 is no bound; from the stream's last sequence on the page is
        /// empty.
        public var after: UInt64?
        /// When the stream of ``before`` and ``after`` was created, from ``Page/created``. In another stream these
        /// sequences belong to other events, so the query throws `streamReplaced`. `nil`, the default, accepts any
        /// stream.
        public var created: Timestamp?
        /// How long the query may get no data while there is something to read. Default 30 seconds. A slow link that
        /// still delivers data does not time out.
        public var timeout: Duration
        /// How many messages of each pattern one reading takes at most; this and their size bound the memory.
        package var readLimit = 16_384
        /// How many bytes of messages a page takes; beyond that it ends early, with a cursor.
        package var byteLimit = 64 << 20
        /// How many messages are read, non-matching ones included; beyond that the page ends early, with a cursor.
        package var scanLimit = Int.max
        /// How many bytes of messages are read, non-matching ones included; beyond that the page ends early, with a
        /// cursor.
        package var scanByteLimit = Int.max
        /// Whether the page also holds the payloads of its events.
        package var keepsPayloads = false

        /// Creates a query; the default is the newest 50 of all events.
        public init(
            matching pattern: EventPattern = .all,
            since: Timestamp? = nil,
            until: Timestamp? = nil,
            node: String? = nil,
            filter: EventFilter = EventFilter(),
            limit: Int = 50,
            end: End = .newest,
            before: UInt64? = nil,
            after: UInt64? = nil,
            timeout: Duration = .seconds(30)
        ) {
            self.patterns = [pattern]
            self.since = since
            self.until = until
            self.node = node
            self.filter = filter
            self.limit = limit
            self.end = end
            self.before = before
            self.after = after
            self.timeout = timeout
        }

        /// Creates a query for events that match at least one of several patterns.
        public init(
            matching patterns: [EventPattern],
            since: Timestamp? = nil,
            until: Timestamp? = nil,
            node: String? = nil,
            filter: EventFilter = EventFilter(),
            limit: Int = 50,
            end: End = .newest,
            before: UInt64? = nil,
            after: UInt64? = nil,
            timeout: Duration = .seconds(30)
        ) {
            self.init(
                since: since,
                until: until,
                node: node,
                filter: filter,
                limit: limit,
                end: end,
                before: before,
                after: after,
                timeout: timeout
            )
            self.patterns = patterns
        }

        /// How many bytes of one pattern's messages are read ahead.
        var laneBytes: Int {
            let lanes = max(patterns.count, 1)
            // Messages read ahead that do not fit into the page are read again for the next one.
            return min(max(byteLimit / 4 / lanes, 1 << 20), max(scanByteLimit / lanes, 1))
        }

        /// The query for the page after another one; `nil` when there is none.
        public func next(after page: Page) -> Query? {
            guard let cursor = page.cursor else { return nil }
            var query = self
            query.created = page.created ?? created
            switch end {
            case .newest: query.before = cursor
            case .oldest: query.after = cursor
            }
            return query
        }

        func validate() throws(MeshEventsError) {
            _ = try EventPattern.distinct(patterns)
            guard limit > 0 else {
                throw MeshEventsError(.invalidArgument, "the limit must be at least 1, not \(limit)")
            }
            if let since, let until, since > until {
                throw MeshEventsError(.invalidArgument, "since (\(since)) is later than until (\(until))")
            }
        }
    }

    /// The result of a query: events, and the cursor of the next page.
    public struct Page: Sendable, Hashable {
        /// The events, oldest first.
        public let events: [StoredEvent]
        /// Where the next page begins: the ``Query/before`` of the older events, or the ``Query/after`` of the newer
        /// ones when the query began with the oldest. `nil` when there is no next page. See ``Query/next(after:)``.
        public let cursor: UInt64?
        /// How many messages were skipped because they are not events.
        public let malformed: Int
        /// How many events were left out because their signature is not valid.
        public let rejected: Int
        /// When the stream with these sequences was created; `nil` when the store cannot tell.
        public internal(set) var created: Timestamp?
        /// The events' payloads as they are stored, when the query asked for them.
        package var payloads: [[UInt8]] = []

        /// Creates a page.
        public init(events: [StoredEvent], cursor: UInt64?, malformed: Int, rejected: Int = 0) {
            self.events = events
            self.cursor = cursor
            self.malformed = malformed
            self.rejected = rejected
        }
    }
}

/// The state of a query while it reads messages.
struct HistoryReading {
    private let query: EventHistory.Query
    private let reporter: MalformedReporter
    private let admission: SignatureCheck

    private var lastReadSize = 0
    private var taken = 0
    private var skipped = 0
    private var malformed = 0
    private var rejected = 0
    private var payloads: [[UInt8]] = []
    private var decoder = StoredMessageDecoder()
    /// The events found so far, in the order of reading.
    private(set) var events: [StoredEvent] = []
    private var eventBytes = 0
    private var takenBytes = 0
    /// When the stream being read was created; `nil` when it is not known.
    private var created: Timestamp?
    /// How often the stream's time of creation was checked.
    private var looks = 0

    init(_ query: EventHistory.Query, reporter: MalformedReporter, admission: SignatureCheck) {
        self.query = query
        self.reporter = reporter
        self.admission = admission
        created = query.created
    }

    /// Checks that the next messages come from the same stream as those before, by its time of creation.
    ///
    /// - Throws: `streamReplaced`.
    mutating func look(at found: Timestamp?) throws(MeshEventsError) {
        try StreamPosition.check(found, isOf: created)
        created = created ?? found
        looks += 1
    }

    /// Whether the stream need not be checked after the last reading: there was at most one check, and the query named
    /// no stream.
    var isProven: Bool { looks <= 1 && query.created == nil }

    /// Whether the page has reached its limits, or the reading its own.
    var isFull: Bool {
        events.count == query.limit || taken >= query.scanLimit || eventBytes >= query.byteLimit
            || takenBytes >= query.scanByteLimit
    }

    /// How many messages to ask for: the number missing, and more when messages were skipped.
    var nextReadSize: Int {
        mutating get {
            let missing = query.limit - events.count
            let grown = skipped == 0 ? missing : max(missing, lastReadSize * 2, 64)
            lastReadSize = min(grown, max(1, query.readLimit))
            return lastReadSize
        }
    }

    /// How many bytes the next reading may return: no more than the page can still take.
    var nextReadBytes: Int {
        max(min(query.laneBytes, query.byteLimit - eventBytes, query.scanByteLimit - takenBytes), 1)
    }

    /// How long the next reading may get no data.
    var timeout: Duration { query.timeout }

    mutating func take(_ message: StoredMessage) {
        taken += 1
        takenBytes += message.payload.count
        do throws(MalformedEvent) {
            let event = try decoder.decode(message)
            if !isWanted(event) {
                skipped += 1
            } else if let event = admission.admit(event, message) {
                events.append(StoredEvent(event: event, sequence: message.sequence, storedAt: message.storedAt))
                if query.keepsPayloads { payloads.append(message.payload) }
                eventBytes += message.payload.count
            } else {
                skipped += 1
                rejected += 1
            }
        } catch {
            skipped += 1
            malformed += 1
            reporter.report(error)
        }
    }

    private func isWanted(_ event: Event) -> Bool {
        if let node = query.node, event.affectedNode != node { return false }
        return query.filter.matches(event)
    }

    /// The page with the events read.
    func page(cursor: UInt64?) -> EventHistory.Page {
        let inOrder = query.end == .newest ? events.reversed() : events
        var page = EventHistory.Page(events: inOrder, cursor: cursor, malformed: malformed, rejected: rejected)
        page.payloads = query.end == .newest ? payloads.reversed() : payloads
        page.created = created
        return page
    }
}
