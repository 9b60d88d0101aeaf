/// How far a replay that reads its stream piece by piece has come; decides what was lost. A pure value.
///
/// When every message of the stream matches, a jump of the sequence is what the stream no longer has. With a filter jumps
/// are ordinary; there a jump counts as far as it lies below the stream's first sequence, looked at after the reading:
/// what was dropped before it could be read is among it.
package struct ReadingProgress: Sendable {
    /// Whether every message of the stream matches.
    package let matchesAll: Bool
    /// Everything below has been handed over, or does not match, or is lost.
    package private(set) var next: UInt64
    /// The last sequence at the beginning; `nil` once all up to it has been handed over, and that has been said.
    private var backlogEnd: UInt64?
    /// Whether what is missing before ``next`` was asked for: not when the replay begins with whatever there is.
    private var expectsNext: Bool

    /// - Parameters:
    ///   - next: where to begin.
    ///   - end: the stream's last sequence at the beginning.
    ///   - isExact: whether the replay is to begin there; else with whatever there is from there on.
    ///   - matchesAll: whether every message of the stream matches.
    package init(next: UInt64, end: UInt64, isExact: Bool, matchesAll: Bool) {
        self.next = next
        self.matchesAll = matchesAll
        backlogEnd = end
        expectsNext = isExact
    }

    /// Whether all that was stored at the beginning has been handed over; true once.
    package mutating func takeCaughtUp() -> Bool {
        guard let end = backlogEnd, next > end else { return false }
        backlogEnd = nil
        return true
    }

    /// The stream is another one, or has lost what it had: what it has from `next` on is to come, up to `end` as what was
    /// stored at the beginning, unless that has been handed over already.
    package mutating func reset(next: UInt64, end: UInt64) {
        self.next = next
        expectsNext = true
        if backlogEnd != nil { backlogEnd = end }
    }

    /// What follows from one reading.
    ///
    /// - Parameters:
    ///   - messages: what matched from ``next`` on.
    ///   - reached: all below has been looked at.
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

    /// What is missing between ``next`` and a sequence.
    private func lost(before sequence: UInt64, first: UInt64) -> ClosedRange<UInt64>? {
        let end = matchesAll ? sequence : min(sequence, first)
        guard expectsNext, end > next else { return nil }
        return next...end - 1
    }
}
