import Foundation
import MeshEvents

/// Writes moments in the machine's time zone.
struct LocalTime: Sendable {
    /// Converts seconds since the epoch to a calendar time: `localtime_r`, or `gmtime_r` in tests.
    typealias Calendar = @Sendable (time_t) -> tm

    private let calendar: Calendar

    init(calendar: @escaping Calendar = { Self.machine($0) }) { self.calendar = calendar }

    /// `2026-11-24 11:28:03.123`.
    func text(_ timestamp: Timestamp) -> String {
        let (seconds, nanoseconds) = timestamp.nanosecondsSinceEpoch.floored(by: 1_000_000_000)
        let time = calendar(time_t(seconds))
        return
            "\(Self.date(time)) \(Self.clock(time)):\(Self.digits(time.tm_sec, 2)).\(Self.digits(nanoseconds / 1_000_000, 3))"
    }

    /// `14:05`, or `2026-11-25 14:05` when that is another day than `now`.
    func short(_ timestamp: Timestamp, now: Timestamp) -> String {
        let (time, today) = (calendar(Self.seconds(timestamp)), calendar(Self.seconds(now)))
        let isToday = (time.tm_year, time.tm_yday) == (today.tm_year, today.tm_yday)
        return isToday ? Self.clock(time) : "\(Self.date(time)) \(Self.clock(time))"
    }

    private static func seconds(_ timestamp: Timestamp) -> time_t {
        time_t(timestamp.nanosecondsSinceEpoch.floored(by: 1_000_000_000).quotient)
    }

    private static func date(_ time: tm) -> String {
        "\(digits(time.tm_year + 1900, 4))-\(digits(time.tm_mon + 1, 2))-\(digits(time.tm_mday, 2))"
    }

    private static func clock(_ time: tm) -> String { "\(digits(time.tm_hour, 2)):\(digits(time.tm_min, 2))" }

    private static func digits(_ value: some BinaryInteger, _ count: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }

    private static func machine(_ seconds: time_t) -> tm {
        var seconds = seconds
        var result = tm()
        localtime_r(&seconds, &result)
        return result
    }
}

extension Int64 {
    /// The quotient rounded towards minus infinity, and the remainder that is never negative.
    fileprivate func floored(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
