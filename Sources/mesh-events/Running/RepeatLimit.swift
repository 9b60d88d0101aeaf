/// Limits the reports in a period and counts the rest, so that a peer cannot fill a log.
struct RepeatLimit: Sendable {
    /// What to do with a report.
    enum Decision: Sendable, Equatable {
        /// Print it. When the number is not 0, first print that this many were left out since the last one.
        case say(leftOut: Int)
        /// Leave it out.
        case leaveOut
    }

    private let maximum: Int
    private let period: Duration
    private var begin: ContinuousClock.Instant?
    private var said = 0
    private var leftOut = 0

    /// Allows `maximum` reports in each `period`.
    init(_ maximum: Int = 10, each period: Duration = .seconds(10)) {
        self.maximum = maximum
        self.period = period
    }

    /// Counts a report.
    mutating func decide(at now: ContinuousClock.Instant = .now) -> Decision {
        if begin.map({ now - $0 >= period }) ?? true {
            begin = now
            said = 0
        }
        guard said < maximum else {
            leftOut += 1
            return .leaveOut
        }
        said += 1
        defer { leftOut = 0 }
        return .say(leftOut: leftOut)
    }
}
