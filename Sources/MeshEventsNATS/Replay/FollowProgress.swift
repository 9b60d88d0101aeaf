import MeshEvents

/// How far a replay has come, over all the consumers it has used; decides what a delivery means. A pure value.
///
/// What is lost is known in two ways. When every message of the stream matches, a jump of the sequence is what the
/// stream no longer has. With a filter jumps are ordinary; there the stream's first sequence tells, looked at while the
/// consumer cannot move: before its first request, and after a request that was used up.
struct FollowProgress: Sendable {
    /// What follows from a delivery.
    enum Verdict: Sendable, Equatable {
        /// Hand it over; before it, these sequences were lost.
        case deliver(lost: ClosedRange<UInt64>?)
        /// It has been handed over before.
        case ignore
        /// A message of the consumer is missing: begin again with another consumer.
        case restart(String)
    }

    /// Whether every message of the stream matches.
    let matchesAll: Bool
    /// Everything below has been handed over, or does not match, or is lost; `nil` as long as nothing is known, since
    /// the replay begins with whatever there is.
    private(set) var next: UInt64?
    /// Whether all that was stored at the beginning has been handed over.
    private(set) var isCaughtUp = false
    /// How much of what was stored at the beginning is still to come.
    private var backlog: UInt64?
    /// The last sequence at the beginning.
    private var backlogEnd: UInt64 = 0
    /// The number of the present consumer's last delivery.
    private(set) var consumerSequence: UInt64 = 0
    /// How many messages of the requests under way are still to come; 0 when there is no request.
    private(set) var outstanding = 0
    /// Whether the consumer stands still right behind the last delivery, so that losses can be told.
    private(set) var needsCheck = false
    /// Where the present request began, when it was known that there was something to deliver.
    private var requestStart: UInt64?
    /// The first message of the present request.
    private var requestFirst: UInt64?
    private var pending: UInt64 = 0

    init(next: UInt64?, matchesAll: Bool) {
        self.next = next
        self.matchesAll = matchesAll
    }

    /// The stream is another one, or has lost what it had: what it has from a sequence on is to come.
    mutating func reset(next: UInt64) {
        let wasCaughtUp = isCaughtUp
        self = FollowProgress(next: next, matchesAll: matchesAll)
        isCaughtUp = wasCaughtUp
    }

    /// A new consumer stands at the beginning, or behind what was handed over.
    ///
    /// - Parameters:
    ///   - first: the stream's first sequence, looked at after the consumer was created.
    ///   - last: the stream's last sequence at that moment.
    ///   - pending: how many messages the consumer has to deliver.
    /// - Returns: what was lost meanwhile.
    mutating func begin(first: UInt64, last: UInt64, pending: UInt64) -> ClosedRange<UInt64>? {
        consumerSequence = 0
        outstanding = 0
        needsCheck = false
        self.pending = pending
        if backlog == nil {
            backlog = pending
            backlogEnd = last
        }
        return lose(below: first)
    }

    /// The stream's first sequence, looked at while the consumer stood still.
    ///
    /// - Returns: what was lost: what the consumer cannot deliver any more, and what it may have missed during its last
    ///   request.
    mutating func check(first: UInt64) -> [ClosedRange<UInt64>] {
        needsCheck = false
        var lost: [ClosedRange<UInt64>] = []
        if let start = requestStart, let end = requestFirst, first > start, end > start {
            lost.append(start...min(first, end) - 1)
        }
        if let range = lose(below: first) { lost.append(range) }
        return lost
    }

    /// Whether a request may leave while another one is being filled: what is lost is told by jumps of the sequence, without
    /// looks at the stream between requests.
    var mayOverlap: Bool { matchesAll }

    /// A request leaves.
    mutating func request(_ count: Int) {
        outstanding += count
        requestStart = pending > 0 ? next : nil
        requestFirst = nil
    }

    /// A message has arrived behind which `pending` more match.
    mutating func delivered(consumer: UInt64, stream: UInt64, pending: UInt64) -> Verdict {
        guard consumer == consumerSequence.nextSequence else {
            return .restart("delivery \(consumer) came after delivery \(consumerSequence)")
        }
        consumerSequence = consumer
        outstanding = max(0, outstanding - 1)
        self.pending = pending
        if outstanding == 0 { needsCheck = !matchesAll }
        if let next, stream < next { return .ignore }
        if requestFirst == nil { requestFirst = stream }
        var lost: ClosedRange<UInt64>?
        if matchesAll, let next, stream > next { lost = next...stream - 1 }
        next = stream.nextSequence
        if let left = backlog, left > 0 { backlog = left - 1 }
        return .deliver(lost: lost)
    }

    /// Whether this is the moment at which all that was stored at the beginning has been handed over; true once.
    mutating func takeCaughtUp() -> Bool {
        guard !isCaughtUp, let backlog else { return false }
        guard backlog == 0 || pending == 0 || next.map({ $0 > backlogEnd }) ?? false else { return false }
        isCaughtUp = true
        return true
    }

    /// A sign of life: the consumer has nothing to deliver.
    ///
    /// - Parameters:
    ///   - consumer: the number of its last delivery, when it says so.
    ///   - stream: the last sequence it has looked at, when it says so.
    /// - Returns: `deliver` for what was lost only; there is no message.
    mutating func heartbeat(consumer: UInt64?, stream: UInt64?) -> Verdict {
        if let consumer, consumer != consumerSequence {
            return .restart("delivery \(consumer) has not arrived")
        }
        pending = 0
        guard let stream, stream != .max, stream >= next ?? 0 else { return .ignore }
        defer { next = stream + 1 }
        // What it has looked at and not delivered does not match, or is not there.
        guard matchesAll, let next else { return .ignore }
        return .deliver(lost: next...stream)
    }

    /// A request has ended before it was used up.
    ///
    /// - Parameters:
    ///   - unfilled: how many of its messages do not come, as far as the server says so; else no request is under way any
    ///     more.
    ///   - isCutShort: whether it was used up by its bytes.
    mutating func requestEnded(unfilled: Int?, isCutShort: Bool) {
        outstanding -= min(max(unfilled ?? outstanding, 0), outstanding)
        needsCheck = isCutShort && !matchesAll
    }

    private mutating func lose(below first: UInt64) -> ClosedRange<UInt64>? {
        guard let next, first > next else { return nil }
        self.next = first
        return next...first - 1
    }
}
