import Foundation
public import MeshEvents

/// The times of a tool in the notation of cron: minute, hour, day of the month, month and day of the week.
///
/// ```
/// 0 3 * * *           every day at 03:00
/// */15 8-18 * * MON-FRI
/// 30 2 1,15 JAN-JUN *
/// @daily              also @hourly, @weekly, @monthly, @yearly
/// ```
///
/// A field is `*`, a number, a range (`1-5`), either with a step (`*/15`, `10-50/20`), or a list of these. Months and days
/// of the week have English names of three letters; 0 and 7 are Sunday. As in Vixie cron:
/// - When both days are restricted, one of them has to fit; when one of them begins with `*`, both.
/// - When clocks are set forward, a time within the skipped hour comes at its end. When they are set back, a time in the
///   repeated hour comes once, the first time. A schedule whose minute or hour begins with `*` follows the clock instead:
///   none of its times within a skipped hour, and those of a repeated hour twice.
public struct CronSchedule: Sendable, Hashable, CustomStringConvertible {
    /// What is wrong with a schedule.
    public struct Mistake: Error, Sendable, Hashable, CustomStringConvertible {
        /// A sentence that says what to write instead.
        public let description: String
    }

    /// How many days are searched for the next time. The rarest ones, 29 February on a certain day of the week, come within
    /// 40 years.
    private static let searchedDays = 15_000
    private static let day = 86_400

    /// The five fields, as they were given.
    public let description: String
    /// The time zone by name (`Europe/Vienna`); `nil` for that of this process: `TZ`, or the machine's.
    public let timeZone: String?

    private let minutes: CronField
    private let hours: CronField
    private let days: CronField
    private let months: CronField
    private let weekdays: CronField

    /// Reads a schedule.
    ///
    /// - Throws: ``Mistake``: it is no schedule, never comes, or there is no such time zone.
    public init(_ text: String, timeZone: String? = nil) throws(Mistake) {
        if let timeZone, TimeZone(identifier: timeZone) == nil {
            throw Mistake(description: "there is no time zone '\(timeZone)'; write it like Europe/Vienna")
        }
        let fields = try Self.fields(text)
        minutes = try CronField(fields[0], .minute)
        hours = try CronField(fields[1], .hour)
        days = try CronField(fields[2], .day)
        months = try CronField(fields[3], .month)
        weekdays = try CronField(fields[4], .weekday)
        description = text
        self.timeZone = timeZone
        guard (0..<Self.searchedDays).contains(where: { isDay($0) }) else {
            throw Mistake(description: "'\(text)' never comes: no year has such a day")
        }
    }

    private static func fields(_ text: String) throws(Mistake) -> [Substring] {
        let names = [
            "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
            "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
        ]
        let fields = (names[text.lowercased()] ?? text).split { $0 == " " || $0 == "\t" }
        guard fields.count == 5 else {
            let form = "minute, hour, day of the month, month, day of the week, such as '0 3 * * *'"
            throw Mistake(
                description: text.hasPrefix("@")
                    ? "'\(text)' is no name of a schedule; there are \(names.keys.sorted().joined(separator: ", "))"
                    : "'\(text)' has \(fields.count) fields, not five: \(form)"
            )
        }
        return fields
    }

    /// The first time after `moment`.
    ///
    /// - Returns: `nil` when there is none within 40 years.
    public func next(after moment: Timestamp) -> Timestamp? {
        let zone = ZoneOffsets(timeZone.flatMap { TimeZone(identifier: $0) } ?? .current)
        let seconds = moment.nanosecondsSinceEpoch.floorDivided(by: 1_000_000_000)
        // From the day before: there the clock may have been set back over midnight.
        let first = (seconds + zone.offset(at: seconds)).floorDivided(by: Self.day) - 1
        for day in first..<(first + Self.searchedDays) where isDay(day) {
            guard let time = earliest(onDay: day, after: seconds, zone) else { continue }
            // A clock that is set back over midnight brings a time of the following day first.
            let other = isDay(day + 1) && zone.changes(near: day) ? earliest(onDay: day + 1, after: seconds, zone) : nil
            let (nanoseconds, overflow) = min(time, other ?? time).multipliedReportingOverflow(by: 1_000_000_000)
            return overflow ? nil : Timestamp(nanosecondsSinceEpoch: Int64(nanoseconds))
        }
        return nil
    }

    /// Whether the schedule has times on a day, which is counted from 1970-01-01.
    private func isDay(_ day: Int) -> Bool {
        let date = CivilDate(day: day)
        guard months.contains(date.month) else { return false }
        let (fitsDay, fitsWeekday) = (days.contains(date.day), weekdays.contains(date.weekday))
        return days.beginsWithStar || weekdays.beginsWithStar ? fitsDay && fitsWeekday : fitsDay || fitsWeekday
    }

    /// The earliest time of a day after a moment, in seconds since 1970.
    private func earliest(onDay day: Int, after moment: Int, _ zone: ZoneOffsets) -> Int? {
        let start = day * Self.day
        let times = hours.values.lazy.flatMap { hour in
            minutes.values.lazy.map { minute in start + hour * 3_600 + minute * 60 }
        }
        guard zone.changes(near: day) else {
            let offset = zone.offset(at: start)
            return times.map { $0 - offset }.first { $0 > moment }
        }
        let followsClock = minutes.beginsWithStar || hours.beginsWithStar
        return times.flatMap { zone.moments(of: $0, followsClock: followsClock) }.filter { $0 > moment }.min()
    }
}

/// The times of day that a field of a schedule stands for.
private struct CronField: Sendable, Hashable {
    /// One of the five fields.
    struct Kind: Sendable {
        let name: String
        let range: ClosedRange<Int>
        let names: [String]

        static let minute = Kind(name: "minute", range: 0...59, names: [])
        static let hour = Kind(name: "hour", range: 0...23, names: [])
        static let day = Kind(name: "day of the month", range: 1...31, names: [])
        static let month = Kind(
            name: "month",
            range: 1...12,
            names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
        )
        static let weekday = Kind(
            name: "day of the week",
            range: 0...7,
            names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
        )

        var mustBe: String {
            let names = names.isEmpty ? "" : ", or a name such as \(self.names[1].uppercased())"
            return "the \(name) must be from \(range.lowerBound) to \(range.upperBound)\(names)"
        }
    }

    /// A bit for each value.
    private var bits: UInt64 = 0
    let beginsWithStar: Bool

    init(_ text: Substring, _ kind: Kind) throws(CronSchedule.Mistake) {
        beginsWithStar = text.hasPrefix("*")
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let pieces = part.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            var step = 1
            if pieces.count == 2 {
                guard let number = Self.number(pieces[1]), number > 0 else {
                    throw Self.mistake("'\(part)' has no step after the '/'; write it like */15")
                }
                step = number
            }
            let range = try Self.range(pieces[0], kind, hasStep: pieces.count == 2)
            for value in stride(from: range.lowerBound, through: range.upperBound, by: step) { insert(value, kind) }
        }
    }

    private mutating func insert(_ value: Int, _ kind: Kind) {
        // Sunday has two numbers.
        bits |= 1 << UInt64(kind.range.upperBound == 7 ? value % 7 : value)
    }

    private static func range(
        _ text: Substring,
        _ kind: Kind,
        hasStep: Bool
    ) throws(CronSchedule.Mistake) -> ClosedRange<Int> {
        if text == "*" { return kind.range.upperBound == 7 ? 0...6 : kind.range }
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let lower = try value(ends[0], kind)
        guard ends.count == 2 else {
            if hasStep {
                throw mistake("'\(text)/…' has a step but no range; write \(lower)-\(kind.range.upperBound)/…, or */…")
            }
            return lower...lower
        }
        var upper = try value(ends[1], kind)
        // SAT-SUN
        if kind.range.upperBound == 7, upper == 0, lower > 0 { upper = 7 }
        guard lower <= upper else { throw mistake("'\(text)' goes down; write it as a list of two ranges") }
        return lower...upper
    }

    private static func value(_ text: Substring, _ kind: Kind) throws(CronSchedule.Mistake) -> Int {
        if let index = kind.names.firstIndex(of: text.lowercased()) { return index + kind.range.lowerBound }
        guard let number = number(text), kind.range.contains(number) else {
            throw mistake("\(kind.mustBe), not '\(text)'")
        }
        return number
    }

    private static func number(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.count <= 4, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int(text)
    }

    private static func mistake(_ text: String) -> CronSchedule.Mistake { CronSchedule.Mistake(description: text) }

    func contains(_ value: Int) -> Bool { bits & (1 << UInt64(value)) != 0 }

    /// The values, in order.
    var values: [Int] { (0..<64).filter { contains($0) } }
}

/// A day of the Gregorian calendar.
private struct CivilDate {
    let month: Int
    let day: Int
    /// From 0, Sunday.
    let weekday: Int

    /// - Parameter day: the number of the day, from 1970-01-01, a Thursday.
    init(day number: Int) {
        // Years that begin in March have the leap day at their end; 400 of them have 146 097 days.
        let shifted = number + 719_468
        let dayOfEra = shifted - shifted.floorDivided(by: 146_097) * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        weekday = number + 4 - (number + 4).floorDivided(by: 7) * 7
    }
}

/// How far the clocks of a time zone are from UTC.
private struct ZoneOffsets {
    private static let day = 86_400

    private let zone: TimeZone

    init(_ zone: TimeZone) { self.zone = zone }

    /// The seconds by which local time is ahead, at a moment.
    func offset(at moment: Int) -> Int { zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(moment))) }

    /// The offsets before and after a day, whatever the zone's distance from UTC.
    private func around(_ day: Int) -> (before: Int, after: Int) {
        (offset(at: (day - 1) * Self.day), offset(at: (day + 2) * Self.day))
    }

    /// Whether the clocks may be set on a day, which is counted from 1970-01-01, or next to it.
    func changes(near day: Int) -> Bool {
        let (before, after) = around(day)
        return before != after
    }

    /// The moments at which clocks show a local time, on a day on which they may be set.
    ///
    /// - Parameter followsClock: `false` for exactly one moment: the first, or when the time is skipped, that at which the
    ///   clocks were set.
    func moments(of local: Int, followsClock: Bool) -> [Int] {
        let day = local.floorDivided(by: Self.day)
        let (before, after) = around(day)
        let shown = Set([before, after]).map { local - $0 }.filter { $0 + offset(at: $0) == local }.sorted()
        if followsClock { return shown }
        return [shown.first ?? change(from: (day - 1) * Self.day, to: (day + 2) * Self.day)]
    }

    /// The first moment with another offset than at the start.
    private func change(from start: Int, to end: Int) -> Int {
        let before = offset(at: start)
        var (low, high) = (start, end)
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if offset(at: middle) == before { low = middle } else { high = middle }
        }
        return high
    }
}

extension BinaryInteger {
    /// The quotient, rounded down for negative numbers too.
    fileprivate func floorDivided(by divisor: Int) -> Int {
        let number = Int(self)
        let quotient = number / divisor
        return number % divisor < 0 ? quotient - 1 : quotient
    }
}
