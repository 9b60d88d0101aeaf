import NATSClient

/// Requests of a follower that the server has refused, one after the other without anything in between: when to ask again,
/// and when to give up. A pure value.
struct FollowRefusals: Sendable {
    /// What follows.
    enum Verdict: Sendable, Equatable {
        case goOn
        case wait(until: ContinuousClock.Instant)
        /// Why.
        case giveUp(String)
    }

    /// How long refusals may last: a server may be in the middle of a change.
    static let tolerated: Duration = .seconds(5)

    private var count = 0
    private var reason = ""
    private var since: ContinuousClock.Instant?
    private var notBefore: ContinuousClock.Instant?

    /// A request was refused.
    ///
    /// - Parameters:
    ///   - reason: the server's code and words.
    ///   - lesson: whether another request may be granted.
    mutating func add(_ reason: String, _ lesson: PullLimits.Lesson, now: ContinuousClock.Instant = .now) {
        self.reason = reason
        since = since ?? now
        count += 1
        // Each limit is learnt once; beyond that, not faster than the server can bear.
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
