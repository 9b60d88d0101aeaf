/// A text in double quotes in a server's report, in Go's notation.
struct QuotedWord {
    /// The text without quotes and escapes.
    let text: String
    /// The rest of the report behind it.
    let rest: Substring

    /// Finds the first quoted text; `nil` when there is none, or it does not end.
    init?(in report: some StringProtocol) {
        guard let start = report.firstIndex(of: "\"") else { return nil }
        var scalars = Substring(report[report.index(after: start)...]).unicodeScalars
        var bytes: [UInt8] = []
        while let scalar = scalars.popFirst() {
            switch scalar {
            case "\"":
                text = String(decoding: bytes, as: UTF8.self)
                rest = Substring(scalars)
                return
            case "\\":
                guard let escaped = scalars.popFirst() else { return nil }
                bytes += Self.unescaped(escaped, &scalars)
            default:
                bytes += Array(String(scalar).utf8)
            }
        }
        return nil
    }

    /// The bytes that an escape stands for; its digits are removed from `rest`.
    private static func unescaped(_ letter: Unicode.Scalar, _ rest: inout Substring.UnicodeScalarView) -> [UInt8] {
        let count: Int
        switch letter {
        case "n": return [0x0A]
        case "r": return [0x0D]
        case "t": return [0x09]
        case "a": return [0x07]
        case "b": return [0x08]
        case "f": return [0x0C]
        case "v": return [0x0B]
        case "x": count = 2
        case "u": count = 4
        case "U": count = 8
        default: return Array(String(letter).utf8)
        }
        let digits = String(Substring(rest.prefix(count)))
        guard digits.unicodeScalars.count == count, let value = UInt32(digits, radix: 16) else { return [] }
        rest.removeFirst(count)
        if letter == "x" { return [UInt8(truncatingIfNeeded: value)] }
        return Unicode.Scalar(value).map { Array(String($0).utf8) } ?? []
    }
}
