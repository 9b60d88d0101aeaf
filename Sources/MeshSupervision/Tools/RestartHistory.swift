/// Counts a tool's ends and decides whether it is started again.
struct RestartHistory: Sendable, Hashable {
    /// What follows an end.
    enum Decision: Sendable, Hashable {
        /// Start it again after a delay.
        case restart(after: Duration)
        /// Start it no more: it failed more often in a row than the policy allows.
        case giveUp
        /// Do not start it again: the policy's mode excludes that.
        case leave

        /// Whether it is started again.
        var isRestart: Bool {
            if case .restart = self { true } else { false }
        }
    }

    /// The most failures that a policy with a time counts; one that allows more never gives up.
    private static let maximumTimes = 10_000

    /// The number of failures in a row; an exit with code 0 resets it.
    private(set) var failures = 0
    /// When the tool failed, for policies that count within a time: at most one more than they allow.
    private var failureTimes: [Duration] = []
    /// The number of ends in a row before the tool was stable, failures or not.
    private(set) var earlyEnds = 0

    /// Decides what follows when a tool ended by itself.
    ///
    /// - Parameters:
    ///   - uptime: How long the tool ran; zero when it could not be started.
    ///   - now: The time, from any beginning.
    mutating func ended(
        isFailure: Bool,
        uptime: Duration,
        now: Duration = .zero,
        policy: RestartPolicy
    ) -> Decision {
        if uptime >= policy.stableAfter { (failures, earlyEnds) = (0, 0) }
        failures = isFailure ? failures + 1 : 0
        let counted = count(isFailure, now, policy)
        switch policy.mode {
        case .never: return .leave
        case .onFailure where !isFailure: return .leave
        case .onFailure, .always: break
        }
        guard counted <= policy.maximumRestarts else { return .giveUp }
        let delay = Self.delay(earlyEnds: earlyEnds, policy: policy)
        earlyEnds += 1
        return .restart(after: delay)
    }

    /// The failures that count.
    private mutating func count(_ isFailure: Bool, _ now: Duration, _ policy: RestartPolicy) -> Int {
        guard let within = policy.within else { return failures }
        if isFailure { failureTimes.append(now) }
        failureTimes.removeAll { now - $0 >= within }
        // The rest would not change the decision.
        failureTimes.removeFirst(max(0, failureTimes.count - min(policy.maximumRestarts, Self.maximumTimes) - 1))
        return failureTimes.count
    }

    private static func delay(earlyEnds: Int, policy: RestartPolicy) -> Duration {
        var delay = policy.initialDelay
        for _ in 0..<earlyEnds {
            if delay >= policy.maximumDelay { break }
            delay *= 2
        }
        return min(delay, policy.maximumDelay)
    }
}
