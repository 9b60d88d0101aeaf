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
    }

    /// The number of failures in a row; an exit with code 0 resets it.
    private(set) var failures = 0
    /// The number of ends in a row before the tool was stable, failures or not.
    private(set) var earlyEnds = 0

    /// Decides what follows when a tool ended by itself.
    ///
    /// - Parameter uptime: How long the tool ran; zero when it could not be started.
    mutating func ended(isFailure: Bool, uptime: Duration, policy: RestartPolicy) -> Decision {
        if uptime >= policy.stableAfter { self = RestartHistory() }
        failures = isFailure ? failures + 1 : 0
        switch policy.mode {
        case .never: return .leave
        case .onFailure where !isFailure: return .leave
        case .onFailure, .always: break
        }
        guard failures <= policy.maximumRestarts else { return .giveUp }
        let delay = Self.delay(earlyEnds: earlyEnds, policy: policy)
        earlyEnds += 1
        return .restart(after: delay)
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
