/// Keeps a peer from filling a log: so many reports in a period, the others are counted.
struct RepeatLimit: Sendable {
    /// What to do with a report.
    enum Decision: Sendable, Equatable {
        /// Say it; and first, when it is not 0, that so many were left out since the last one.
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
