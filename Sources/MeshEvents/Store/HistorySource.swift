/// The messages of several patterns in the order of the stream, or backwards, each message once.
///
/// Reads each pattern separately and merges by sequence: servers before 2.10 accept one filter per consumer, and later
/// ones refuse filters that overlap.
struct HistorySource {
    private struct Lane {
        let pattern: EventPattern
        /// In the order of reading, the next one first.
        var messages: ArraySlice<StoredMessage> = []
        /// The sequence of the last message read.
        var last: UInt64?
        var isExhausted = false

        var nextSequence: UInt64? { messages.isEmpty ? nil : messages[messages.startIndex].sequence }
    }

    private let store: HistoryStore
    private let query: EventHistory.Query
    private let range: HistoryRange
    private var lanes: [Lane]

    init(_ store: HistoryStore, _ query: EventHistory.Query, _ range: HistoryRange) {
        self.store = store
        self.query = query
        self.range = range
        let patterns = (try? EventPattern.distinct(query.patterns)) ?? query.patterns
        lanes = patterns.map { Lane(pattern: $0) }
    }

    /// Whether all messages have been returned and no pattern has more.
    var isAtEnd: Bool { lanes.allSatisfy { $0.isExhausted && $0.messages.isEmpty } }

    /// The next message; `nil` at the end.
    mutating func next(_ reading: inout HistoryReading) async throws(MeshEventsError) -> StoredMessage? {
        for index in lanes.indices where lanes[index].messages.isEmpty && !lanes[index].isExhausted {
            try await fill(index, &reading)
        }
        guard let nearest, let next = lanes[nearest].messages.popFirst() else { return nil }
        for index in lanes.indices where lanes[index].nextSequence == next.sequence {
            lanes[index].messages.removeFirst()
        }
        return next
    }

    /// The lane whose next message comes first in the order of reading. Runs once for each event, so it copies no
    /// messages.
    private var nearest: Int? {
        var nearest: (index: Int, sequence: UInt64)?
        for index in lanes.indices {
            guard let sequence = lanes[index].nextSequence else { continue }
            if let found = nearest, query.end == .newest ? found.sequence > sequence : found.sequence < sequence {
                continue
            }
            nearest = (index, sequence)
        }
        return nearest?.index
    }

    private mutating func fill(_ index: Int, _ reading: inout HistoryReading) async throws(MeshEventsError) {
        let wanted = reading.nextReadSize
        let (bytes, timeout) = (reading.nextReadBytes, reading.timeout)
        var lane = lanes[index]
        switch query.end {
        case .newest:
            let before = lane.last ?? range.upper
            let found = try await store.newest(
                wanted,
                maximumBytes: bytes,
                matching: lane.pattern,
                before: before,
                timeout: timeout
            )
            try reading.look(at: found.created)
            lane.messages = found.messages.reversed()[...]
            lane.last = found.messages.first?.sequence ?? lane.last
            let isAtEnd = found.messages.count < wanted && !found.isCutShort
            lane.isExhausted = isAtEnd || lane.last ?? 0 <= range.lower
        case .oldest:
            let start: StoredPart.Start =
                if let last = lane.last {
                    .sequence(last.nextSequence)
                } else if let since = query.since, query.after == nil {
                    .time(since)
                } else {
                    .sequence(range.lower)
                }
            let found = try await store.first(
                wanted,
                maximumBytes: bytes,
                matching: lane.pattern,
                from: start,
                timeout: timeout
            )
            try reading.look(at: found.created)
            lane.messages = found.messages[...]
            lane.last = found.messages.last?.sequence ?? lane.last
            let isAtEnd = found.messages.count < wanted && !found.isCutShort
            lane.isExhausted = isAtEnd || (lane.last ?? 0).nextSequence >= range.upper ?? .max
        }
        lanes[index] = lane
    }
}

/// The bounds of a query, in sequences and times.
struct HistoryRange {
    private(set) var lower: UInt64
    private(set) var upper: UInt64?
    private let since: Timestamp?
    private let until: Timestamp?

    /// A range without sequences.
    static let empty = HistoryRange(EventHistory.Query(before: 0))

    init(_ query: EventHistory.Query) {
        lower = query.after.map(\.nextSequence) ?? 1
        upper = query.before
        since = query.since
        until = query.until
    }

    /// Whether the range holds no sequence.
    var isEmpty: Bool { upper.map { lower >= $0 } ?? false }

    /// Ends the range with a sequence; the largest 64-bit number is no bound.
    mutating func limit(to last: UInt64) { if last < .max { limit(below: last + 1) } }

    mutating func limit(below sequence: UInt64) { upper = min(sequence, upper ?? sequence) }

    mutating func limit(from sequence: UInt64) { lower = max(sequence, lower) }

    /// Whether a message lies in the range; the first one that does not ends a reading.
    func contains(_ message: StoredMessage) -> Bool {
        message.sequence >= lower && upper.map { message.sequence < $0 } ?? true
            && message.storedAt >= since ?? message.storedAt && message.storedAt <= until ?? message.storedAt
    }
}
