import NATSClient

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
