public import MeshEvents

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Hours of the day in which people are not told; what fires meanwhile is told at their end.
public struct QuietHours: Sendable, Hashable {
    /// When they begin, in minutes after midnight: 0 to 1 439.
    public let start: Int
    /// When they end, in minutes after midnight: 0 to 1 439, not ``start``. A time before the start is one of the next day.
    public let end: Int
    /// The name of the time zone, `Europe/Berlin`; `nil` for that of this machine.
    public let zone: String?

    /// Creates quiet hours; `nil` when a time is out of range, both are the same, or there is no such zone here.
    public init?(start: Int, end: Int, zone: String? = nil) {
        guard (0..<1_440).contains(start), (0..<1_440).contains(end), start != end else { return nil }
        if let zone, TimeZone(identifier: zone) == nil { return nil }
        self.start = start
        self.end = end
        self.zone = zone
    }

    /// When the quiet hours end that a time is in; `nil` when it is in none.
    public func end(of time: Timestamp) -> Timestamp? {
        let zone = zone.flatMap { TimeZone(identifier: $0) } ?? .current
        let date = Date(timeIntervalSince1970: Double(time.nanosecondsSinceEpoch) / 1e9)
        let minute = Self.minute(of: date, in: zone)
        let isWithin = start < end ? (start..<end).contains(minute.whole) : minute.whole >= start || minute.whole < end
        guard isWithin else { return nil }
        let left = (end - minute.whole + 1_440) % 1_440
        var endDate = date.addingTimeInterval(Double(left * 60) - minute.seconds)
        // A change of the clocks in between moves the end.
        let shift = zone.secondsFromGMT(for: date) - zone.secondsFromGMT(for: endDate)
        if shift != 0 { endDate = endDate.addingTimeInterval(Double(shift)) }
        return Timestamp(nanosecondsSinceEpoch: Int64(endDate.timeIntervalSince1970.rounded()) * 1_000_000_000)
    }

    /// The minute of the day, and the seconds since it began.
    private static func minute(of date: Date, in zone: TimeZone) -> (whole: Int, seconds: Double) {
        let local = date.timeIntervalSince1970 + Double(zone.secondsFromGMT(for: date))
        let second = local - (local / 86_400).rounded(.down) * 86_400
        let whole = Int(second / 60)
        return (min(whole, 1_439), second - Double(whole * 60))
    }
}
