import MeshEvents

/// Reads how long a target asks to wait.
enum RetryAfter {
    /// The longest time that is taken for serious.
    static let longest: Duration = .seconds(86_400)

    /// The value of `Retry-After`: a number of seconds, or a date in one of HTTP's three forms.
    ///
    /// - Parameter now: the time from which a date counts.
    /// - Returns: how long, from 0 to ``longest``; `nil` when the value is neither.
    static func duration(_ value: String, now: Timestamp) -> Duration? {
        let value = value.split(separator: " ").joined(separator: " ")
        if !value.isEmpty, value.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
            return bounded(Int64(value).map { .seconds($0) } ?? longest)
        }
        return date(value).map { bounded($0.duration(since: now)) }
    }

    /// A time within what is taken for serious.
    static func bounded(_ duration: Duration) -> Duration { min(max(duration, .zero), longest) }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` or `Sun Nov 6 08:49:37 1994`.
    private static func date(_ text: String) -> Timestamp? {
        if let parts = text.wholeMatch(
            of: /[A-Z][a-z]+, (\d\d)[ -]([A-Z][a-z]{2})[ -](\d{4}|\d\d) (\d\d:\d\d:\d\d) GMT/
        ) {
            let year = parts.3.count == 4 ? String(parts.3) : (parts.3 < "70" ? "20" : "19") + parts.3
            return timestamp(year, String(parts.2), String(parts.1), String(parts.4))
        }
        if let parts = text.wholeMatch(of: /[A-Z][a-z]{2} ([A-Z][a-z]{2}) (\d\d?) (\d\d:\d\d:\d\d) (\d{4})/) {
            return timestamp(String(parts.4), String(parts.1), String(parts.2), String(parts.3))
        }
        return nil
    }

    private static func timestamp(_ year: String, _ month: String, _ day: String, _ time: String) -> Timestamp? {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard let number = months.firstIndex(of: month) else { return nil }
        func twoDigits(_ text: String) -> String { text.utf8.count == 1 ? "0\(text)" : text }
        return try? Timestamp(rfc3339: "\(year)-\(twoDigits("\(number + 1)"))-\(twoDigits(day))T\(time)Z")
    }
}
