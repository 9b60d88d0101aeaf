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
    /// How often a tool that keeps failing is started again before the node gives up; the default is 5.
    public var maximumRestarts: Int
    /// The time within which ``maximumRestarts`` counts: earlier failures are forgotten, later ones count even when the tool
    /// was stable or exited with 0 in between. `nil`, the default, counts failures in a row.
    public var within: Duration?

    /// Creates a policy.
    public init(
        mode: Mode = .onFailure,
        initialDelay: Duration = .seconds(1),
        maximumDelay: Duration = .seconds(60),
        stableAfter: Duration = .seconds(60),
        maximumRestarts: Int = 5,
        within: Duration? = nil
    ) {
        self.mode = mode
        self.initialDelay = initialDelay
        self.maximumDelay = maximumDelay
        self.stableAfter = stableAfter
        self.maximumRestarts = maximumRestarts
        self.within = within
    }
}
