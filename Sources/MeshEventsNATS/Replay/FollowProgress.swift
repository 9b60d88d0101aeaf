import MeshEvents
import NATSClient

/// The state of a replay across all the consumers it has used; it decides what a delivery means. A pure value.
///
/// Losses are found in two ways. When every message of the stream matches, a gap in the sequences is what the stream no
/// longer has. With a filter gaps are ordinary. Then the stream's first sequence shows losses; it is requested while
/// the consumer cannot move: before its first request, and after a request that was used up.
struct FollowProgress: Sendable {
    /// What follows from a delivery.
    enum Verdict: Sendable, Equatable {
        /// Give it to the reader; before it, these sequences were lost.
        case deliver(lost: ClosedRange<UInt64>?)
        /// The reader has had it before.
        case ignore
        /// A delivery of the consumer is missing: begin again with another consumer.
        case restart(String)
    }

    /// Whether every message of the stream matches.
    let matchesAll: Bool
    /// Everything below it was given to the reader, does not match, or is lost. `nil` as long as nothing is known,
    /// because the replay begins with the first message there is.
    private(set) var next: UInt64?
    /// Whether the reader has got everything that was stored at the beginning.
    private(set) var isCaughtUp = false
    /// How many messages of those stored at the beginning are still to come.
    private var backlog: UInt64?
    /// The last sequence at the beginning.
    private var backlogEnd: UInt64 = 0
    /// The number of the present consumer's last delivery.
    private(set) var consumerSequence: UInt64 = 0
    /// How many messages of the requests under way are still to come; 0 without a request.
    private(set) var outstanding = 0
    /// Whether the consumer stands directly behind the last delivery, so that losses can be found.
    private(set) var needsCheck = false
    /// The sequence at which the present request began; set only when messages were pending.
    private var requestStart: UInt64?
    /// The sequence of the present request's first message.
    private var requestFirst: UInt64?
    private var pending: UInt64 = 0

    init(next: UInt64?, matchesAll: Bool) {
        self.next = next
        self.matchesAll = matchesAll
    }

    /// Begins again at a sequence, because the stream was created again, or has lost messages.
    mutating func reset(next: UInt64) {
        let wasCaughtUp = isCaughtUp
        self = FollowProgress(next: next, matchesAll: matchesAll)
        isCaughtUp = wasCaughtUp
    }

    /// Begins with a new consumer, which stands at the beginning, or behind what was delivered.
    ///
    /// - Parameters:
    ///   - first: the stream's first sequence, looked at after the consumer was created.
    ///   - last: the stream's last sequence at that moment.
    ///   - pending: how many messages the consumer has to deliver.
    /// - Returns: the sequences that were lost meanwhile.
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

    /// Takes the stream's first sequence, requested while the consumer stood still.
    ///
    /// - Returns: the sequences that were lost: those that the consumer can no longer deliver, and those that it may
    ///   have missed during its last request.
    mutating func check(first: UInt64) -> [ClosedRange<UInt64>] {
        needsCheck = false
        var lost: [ClosedRange<UInt64>] = []
        if let start = requestStart, let end = requestFirst, first > start, end > start {
            lost.append(start...min(first, end) - 1)
        }
        if let range = lose(below: first) { lost.append(range) }
        return lost
    }

    /// Whether a request may leave while another is being filled. Then gaps in the sequences show losses, without
    /// looking at the stream between requests.
    var mayOverlap: Bool { matchesAll }

    /// Notes that a request leaves.
    mutating func request(_ count: Int) {
        outstanding += count
        requestStart = pending > 0 ? next : nil
        requestFirst = nil
    }

    /// Takes a message that has arrived, behind which `pending` more match.
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

    /// Whether the reader has now got everything that was stored at the beginning; `true` once.
    mutating func takeCaughtUp() -> Bool {
        guard !isCaughtUp, let backlog else { return false }
        guard backlog == 0 || pending == 0 || next.map({ $0 > backlogEnd }) ?? false else { return false }
        isCaughtUp = true
        return true
    }

    /// Takes a heartbeat: the consumer has nothing to deliver.
    ///
    /// - Parameters:
    ///   - consumer: the number of its last delivery, when the heartbeat has it.
    ///   - stream: the last sequence it has looked at, when the heartbeat has it.
    /// - Returns: `deliver` only for lost sequences; there is no message.
    mutating func heartbeat(consumer: UInt64?, stream: UInt64?) -> Verdict {
        if let consumer, consumer != consumerSequence {
            return .restart("delivery \(consumer) has not arrived")
        }
        pending = 0
        guard let stream, stream != .max, stream >= next ?? 0 else { return .ignore }
        defer { next = stream + 1 }
        // Sequences that it has looked at and not delivered do not match, or are gone.
        guard matchesAll, let next else { return .ignore }
        return .deliver(lost: next...stream)
    }

    /// Notes that a request has ended before it was used up.
    ///
    /// - Parameters:
    ///   - unfilled: how many of its messages do not come, when the server says so; `nil`: no request is under way any
    ///     more.
    ///   - isCutShort: whether its bytes were used up.
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

/// The requests of a follower that the server has refused in a row. It decides when to ask again and when to give up. A
/// pure value.
struct FollowRefusals: Sendable {
    /// What to do next.
    enum Verdict: Sendable, Equatable {
        case goOn
        case wait(until: ContinuousClock.Instant)
        /// Give up, for this reason.
        case giveUp(String)
    }

    /// How long refusals may last: a server may be in the middle of a change.
    static let tolerated: Duration = .seconds(5)

    private var count = 0
    private var reason = ""
    private var since: ContinuousClock.Instant?
    private var notBefore: ContinuousClock.Instant?

    /// Notes that a request was refused.
    ///
    /// - Parameters:
    ///   - reason: the server's status code and text.
    ///   - lesson: whether another request may be granted.
    mutating func add(_ reason: String, _ lesson: PullLimits.Lesson, now: ContinuousClock.Instant = .now) {
        self.reason = reason
        since = since ?? now
        count += 1
        // A limit is learned once. Any further request waits, to spare the server.
        guard lesson != .newLimit || count > 3 else { return }
        notBefore = now + min(.milliseconds(50) * (1 << min(count, 6)), .seconds(1))
    }

    /// What to do before the next request.
    mutating func verdict(_ now: ContinuousClock.Instant) -> Verdict {
        guard let notBefore, let since else { return .goOn }
        if now - since >= Self.tolerated { return .giveUp(reason) }
        guard now < notBefore else { return .goOn }
        return .wait(until: notBefore)
    }
}
