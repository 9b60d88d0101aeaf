/// The position of a replay that reads its stream in parts; decides which messages were lost. A pure value.
///
/// When every message of the stream matches, a jump in the sequence means that messages are lost. With a filter, jumps
/// are normal: only the part below the stream's first sequence counts as lost. That first sequence is read after the
/// messages, so that it covers messages dropped before they could be read.
package struct ReadingProgress: Sendable {
    /// Whether every message of the stream matches.
    package let matchesAll: Bool
    /// All messages below this have been handed over, do not match, or are lost.
    package private(set) var next: UInt64
    /// The last sequence at the beginning; `nil` once all messages up to it have been handed over and `caughtUp` too.
    private var backlogEnd: UInt64?
    /// Whether messages missing from ``next`` on count as lost: not when the replay begins with the first message that
    /// exists.
    private var expectsNext: Bool

    /// - Parameters:
    ///   - next: where to begin.
    ///   - end: the stream's last sequence at the beginning.
    ///   - isExact: whether the replay must begin exactly there; otherwise with the first message that exists from
    ///     there on.
    ///   - matchesAll: whether every message of the stream matches.
    package init(next: UInt64, end: UInt64, isExact: Bool, matchesAll: Bool) {
        self.next = next
        self.matchesAll = matchesAll
        backlogEnd = end
        expectsNext = isExact
    }

    /// Whether all messages stored at the beginning have been handed over; returns `true` only once.
    package mutating func takeCaughtUp() -> Bool {
        guard let end = backlogEnd, next > end else { return false }
        backlogEnd = nil
        return true
    }

    /// Continues at `next` after the stream was replaced or has lost messages. `end` becomes the last sequence at the
    /// beginning, unless `caughtUp` was handed over already.
    package mutating func reset(next: UInt64, end: UInt64) {
        self.next = next
        expectsNext = true
        if backlogEnd != nil { backlogEnd = end }
    }

    /// The items that follow from one reading.
    ///
    /// - Parameters:
    ///   - messages: the matching messages from ``next`` on.
    ///   - reached: the sequence below which the reading has covered everything.
    ///   - first: the stream's first sequence after the reading.
    package mutating func read(_ messages: [StoredMessage], reached: UInt64, first: UInt64) -> [FollowedItem] {
        var items: [FollowedItem] = []
        for message in messages where message.sequence >= next {
            if let lost = lost(before: message.sequence, first: first) { items.append(.lost(lost)) }
            if let end = backlogEnd, message.sequence > end {
                backlogEnd = nil
                items.append(.caughtUp)
            }
            items.append(.message(message))
            next = message.sequence &+ 1
            expectsNext = true
        }
        if reached >= next {
            if let lost = lost(before: reached, first: first) { items.append(.lost(lost)) }
            next = reached
            expectsNext = true
        }
        if first > next {
            if expectsNext { items.append(.lost(next...first - 1)) }
            next = first
            expectsNext = true
        }
        if takeCaughtUp() { items.append(.caughtUp) }
        return items
    }

    /// The sequences lost between ``next`` and a sequence; `nil` when there are none.
    private func lost(before sequence: UInt64, first: UInt64) -> ClosedRange<UInt64>? {
        let end = matchesAll ? sequence : min(sequence, first)
        guard expectsNext, end > next else { return nil }
        return next...end - 1
    }
}
