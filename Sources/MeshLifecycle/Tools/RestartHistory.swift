/// What a tool's last ends mean for the next one.
struct RestartHistory: Sendable, Hashable {
    /// What follows an end.
    enum Decision: Sendable, Hashable {
        /// Start it again after a delay.
        case restart(after: Duration)
        /// It failed once too often.
        case giveUp
        /// The policy does not want it started again.
        case leave
    }

    /// Failures in a row; a clean exit ends the row.
    private(set) var failures = 0
    /// Ends in a row before the tool was stable, failures or not.
    private(set) var earlyEnds = 0

    /// Decides what follows an end that nobody asked for.
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
