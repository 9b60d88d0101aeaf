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
