extension EventHistory {
    /// Which of the events that fit are meant when there are more than the limit.
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
        /// Only events stored at this time or later; a time to come is refused.
        public var since: Timestamp?
        /// Only events stored at this time or earlier.
        public var until: Timestamp?
        /// Only events of this node.
        public var node: String?
        /// How many events at most, from 1. Default 50. A page of large events ends earlier, with a cursor: it holds about
        /// 64 MiB at most.
        public var limit: Int
        /// At which end to begin. Default: with the newest.
        public var end: End
        /// Only events whose sequence is below this. 0 and 1 leave nothing; beyond the stream's last sequence it is no
        /// bound.
        public var before: UInt64?
        /// Only events whose sequence is above this. 0 is no bound; from the stream's last sequence on it leaves
        /// nothing.
        public var after: UInt64?
        /// When the stream was created that ``before`` and ``after`` are sequences of, as ``Page/created`` says it: of another
        /// stream they would mean other events, and the query throws `streamReplaced`. `nil`, the default, is any stream.
        public var created: Timestamp?
        /// How long nothing may come while there is something to read. Default 30 seconds. A slow link takes the time it
        /// needs.
        public var timeout: Duration
        /// How many messages of each pattern are held at once: what a reading takes, times the size of a message.
        package var readLimit = 16_384
        /// How many bytes of messages a page takes; it then ends early, with a cursor.
        package var byteLimit = 64 << 20
        /// How many messages are looked at, those that do not fit included; the page then ends early, with a cursor.
        package var scanLimit = Int.max
        /// After so many bytes of messages, those that do not fit included, the page ends early, with a cursor.
        package var scanByteLimit = Int.max
        /// Whether the page has the payloads of its events, too.
        package var keepsPayloads = false

        /// Creates a query; the default is the newest 50 of all events.
        public init(
            matching pattern: EventPattern = .all,
            since: Timestamp? = nil,
            until: Timestamp? = nil,
            node: String? = nil,
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
            // What is read ahead and then does not fit into the page is read again for the next one.
            return min(max(byteLimit / 4 / lanes, 1 << 20), max(scanByteLimit / lanes, 1))
        }

        /// The query for the page behind another one; `nil` when there is none.
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

    /// An answer: events, and where to go on.
    public struct Page: Sendable, Hashable {
        /// The events, oldest first.
        public let events: [StoredEvent]
        /// Where the next page begins: the ``Query/before`` of older events, or the ``Query/after`` of newer ones when
        /// the query began with the oldest; `nil` when there are none. See ``Query/next(after:)``.
        public let cursor: UInt64?
        /// How many messages were skipped because they are not events.
        public let malformed: Int
        /// How many events were left out because their signature does not hold.
        public let rejected: Int
        /// When the stream was created that has these sequences; `nil` when the store cannot tell.
        public internal(set) var created: Timestamp?
        /// The events' payloads as they are stored, where the query asked for them.
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

/// A query under way.
struct HistoryReading {
    private let query: EventHistory.Query
    private let reporter: MalformedReporter
    private let admission: EventAdmission

    private var lastReadSize = 0
    private var taken = 0
    private var skipped = 0
    private var malformed = 0
    private var rejected = 0
    private var payloads: [[UInt8]] = []
    private var decoder = StoredMessageDecoder()
    /// What was found, in the order of taking.
    private(set) var events: [StoredEvent] = []
    private var eventBytes = 0
    private var takenBytes = 0
    /// When the stream was created that is read; `nil` when it is not known.
    private var created: Timestamp?
    /// How often the stream has been looked at.
    private var looks = 0

    init(_ query: EventHistory.Query, reporter: MalformedReporter, admission: EventAdmission) {
        self.query = query
        self.reporter = reporter
        self.admission = admission
        created = query.created
    }

    /// Takes over when the stream was created from which the next messages are.
    ///
    /// - Throws: `streamReplaced`.
    mutating func look(at found: Timestamp?) throws(MeshEventsError) {
        try StreamPosition.check(found, isOf: created)
        created = created ?? found
        looks += 1
    }

    /// Whether no look at the stream is needed behind the last reading: there was one reading, and no sequence that had
    /// to be the same stream's.
    var isProven: Bool { looks <= 1 && query.created == nil }

    /// Whether the page has all it may have, or as much was looked at as may be.
    var isFull: Bool {
        events.count == query.limit || taken >= query.scanLimit || eventBytes >= query.byteLimit
            || takenBytes >= query.scanByteLimit
    }

    /// How many messages to ask for: what is missing, and more when much of what came was of no use.
    var nextReadSize: Int {
        mutating get {
            let missing = query.limit - events.count
            let grown = skipped == 0 ? missing : max(missing, lastReadSize * 2, 64)
            lastReadSize = min(grown, max(1, query.readLimit))
            return lastReadSize
        }
    }

    /// How many bytes the next reading brings at most: no more than the page may still take.
    var nextReadBytes: Int {
        max(min(query.laneBytes, query.byteLimit - eventBytes, query.scanByteLimit - takenBytes), 1)
    }

    /// How long the next reading may be without anything that comes.
    var timeout: Duration { query.timeout }

    mutating func take(_ message: StoredMessage) {
        taken += 1
        takenBytes += message.payload.count
        do throws(MalformedEvent) {
            let event = try decoder.decode(message)
            if let node = query.node, event.node != node {
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

    /// The page of what was read.
    func page(cursor: UInt64?) -> EventHistory.Page {
        let inOrder = query.end == .newest ? events.reversed() : events
        var page = EventHistory.Page(events: inOrder, cursor: cursor, malformed: malformed, rejected: rejected)
        page.payloads = query.end == .newest ? payloads.reversed() : payloads
        page.created = created
        return page
    }
}
