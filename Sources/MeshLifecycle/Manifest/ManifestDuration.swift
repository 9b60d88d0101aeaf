/// Parses durations in a manifest and on the command line: `90s`, `10m`, `1h30m`, `2d`, `1.5h`, `500ms`.
package enum ManifestDuration {
    private static let units: [String: Double] = ["ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400]
    /// The longest duration in seconds, a hundred years: a longer one is a mistake.
    private static let maximum: Double = 86_400 * 36_525

    /// The duration; `nil` when the text is none, or the duration is too long.
    package static func parse(_ text: String) -> Duration? {
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
