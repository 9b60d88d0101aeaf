/// Durations as people type them: `90s`, `10m`, `1h30m`, `2d`, `1.5h`, `500ms`.
enum DurationText {
    private static let units: [String: Double] = ["ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400]
    /// A hundred years: beyond that nobody means it.
    private static let maximum: Double = 86_400 * 36_525

    /// What an option says, a time above zero; `nil` when it is not there.
    ///
    /// - Throws: `CommandFailure`, usage.
    static func option(_ name: String, _ text: String?) throws -> Duration? {
        guard let text else { return nil }
        guard let duration = parse(text), duration > .zero else {
            throw CommandFailure(.usage, "\(name) is a time like 15s, 10m or 2h30m, not \(text.debugDescription)")
        }
        return duration
    }

    /// The duration; `nil` when the text is none, or it is too long.
    static func parse(_ text: String) -> Duration? {
        var rest = text[...]
        var seconds = 0.0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { $0.isASCII && $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard number.first?.isNumber == true, number.last?.isNumber == true, let value = Double(number),
                let factor = units[String(unit)]
            else { return nil }
            seconds += value * factor
        }
        guard seconds <= maximum else { return nil }
        return .milliseconds(Int64((seconds * 1000).rounded()))
    }
}
