import MeshEvents

/// When a tool that runs and ends is started.
///
/// It is started at each of its times, unless it still runs then. Its end is `tool.finished`, whatever its exit code, and
/// its restart policy does not count.
public struct ToolSchedule: Sendable, Hashable {
    /// How its times follow each other.
    public enum Rhythm: Sendable, Hashable {
        /// At times of the calendar.
        case cron(CronSchedule)
        /// After each such time: the first run comes one interval after the tool was installed. An interval that has passed
        /// while its node did not run is followed by a run at once.
        case every(Duration)
    }

    /// What follows when its node did not run at one of the times of the calendar.
    public enum Missed: String, Sendable, Hashable, CaseIterable {
        /// It is started at the next time; `tool.skipped` says that one was missed.
        case skip
        /// It is started once when its node starts.
        case run
    }

    /// The shortest interval: 1 second.
    public static let minimumInterval: Duration = .seconds(1)

    /// How its times follow each other.
    public var rhythm: Rhythm
    /// What follows when its node did not run at one of the times; the default is ``Missed/skip``.
    public var missed: Missed

    /// Creates a schedule.
    public init(_ rhythm: Rhythm, missed: Missed = .skip) {
        self.rhythm = rhythm
        self.missed = missed
    }

    /// A schedule in the notation of cron.
    ///
    /// - Parameters:
    ///   - text: five fields, or a word such as `@daily`.
    ///   - timeZone: a time zone by name; `nil` for that of this process.
    ///   - missed: what follows when its node did not run at one of the times.
    /// - Throws: `CronSchedule.Mistake`.
    public static func cron(
        _ text: String,
        timeZone: String? = nil,
        missed: Missed = .skip
    ) throws(CronSchedule.Mistake) -> ToolSchedule {
        ToolSchedule(.cron(try CronSchedule(text, timeZone: timeZone)), missed: missed)
    }

    /// A schedule with the same time between two starts.
    public static func every(_ interval: Duration) -> ToolSchedule { ToolSchedule(.every(interval)) }

    /// What is wrong with it; `nil` when nothing is.
    var problem: String? {
        guard case .every(let interval) = rhythm, interval < Self.minimumInterval else { return nil }
        return "has an interval of less than a second"
    }
}

/// The next time of a tool with a schedule: a pure value, without clocks.
struct SchedulePlan: Sendable, Hashable {
    /// What is to be done at the beginning of a plan.
    enum Beginning: Sendable, Hashable {
        /// Nothing was missed.
        case wait
        /// The tool was not started at this time, and is not started for it.
        case missed(Timestamp)
        /// Start it now, for the time of the plan, which was missed.
        case start
    }

    let schedule: ToolSchedule
    /// When the tool is started next; `nil` for never.
    private(set) var next: Timestamp?

    /// Plans the next start.
    ///
    /// - Parameters:
    ///   - last: the last time that was dealt with; `nil` when the schedule is new.
    ///   - now: the time.
    /// - Returns: the plan, and what is to be done now.
    static func begin(_ schedule: ToolSchedule, last: Timestamp?, now: Timestamp) -> (SchedulePlan, Beginning) {
        var plan = SchedulePlan(schedule: schedule)
        // A clock that was wrong may have noted a time that has not come yet.
        let last = last.map { min($0, now) }
        switch schedule.rhythm {
        case .every(let interval):
            let due = (last ?? now).adding(interval)
            plan.next = due
            return (plan, due <= now ? .start : .wait)
        case .cron(let cron):
            plan.next = cron.next(after: now)
            guard let last, let due = cron.next(after: last), due <= now else { return (plan, .wait) }
            guard schedule.missed == .run else { return (plan, .missed(due)) }
            plan.next = due
            return (plan, .start)
        }
    }

    /// The time has come: plans the following one.
    ///
    /// Times that have passed meanwhile, because the machine slept or its clock was set, are left out.
    mutating func advance(now: Timestamp) {
        guard let due = next else { return }
        switch schedule.rhythm {
        // No earlier than the time itself: a clock that is set back does not bring it again.
        case .cron(let cron): next = cron.next(after: max(due, now))
        case .every(let interval):
            let following = due.adding(interval)
            // From now when it is late, so that there is an interval between two starts.
            next = following > now ? following : now.adding(interval)
        }
    }
}
