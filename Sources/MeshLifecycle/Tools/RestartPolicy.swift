/// When a tool that ended by itself is started again, and after how long.
public struct RestartPolicy: Sendable, Hashable {
    /// After which ends a tool is started again.
    public enum Mode: String, Sendable, Hashable, CaseIterable {
        /// After each.
        case always
        /// After a failure: an exit with another code than 0, or a signal.
        case onFailure = "on-failure"
        /// After none.
        case never
    }

    /// After which ends the tool is started again; the default is after failures.
    public var mode: Mode
    /// The delay before the first restart; each further one doubles it. The default is 1 second.
    public var initialDelay: Duration
    /// The longest delay; the default is 60 seconds.
    public var maximumDelay: Duration
    /// A tool that ran this long is stable: its next end counts as the first. The default is 60 seconds.
    public var stableAfter: Duration
    /// How often a tool that keeps failing is started again before it is given up; the default is 5.
    public var maximumRestarts: Int

    /// Creates a policy.
    public init(
        mode: Mode = .onFailure,
        initialDelay: Duration = .seconds(1),
        maximumDelay: Duration = .seconds(60),
        stableAfter: Duration = .seconds(60),
        maximumRestarts: Int = 5
    ) {
        self.mode = mode
        self.initialDelay = initialDelay
        self.maximumDelay = maximumDelay
        self.stableAfter = stableAfter
        self.maximumRestarts = maximumRestarts
    }
}

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
