import MeshLogging

/// Makes text of other clients harmless on a terminal: characters that could move the cursor, change colours, reorder a
/// line or begin another one become JSON escapes.
enum SafeText {
    /// The most marks on one letter: more would be drawn over the lines above and below.
    private static let mostMarks = 6

    /// The text with every unsafe scalar as `\u….`; nothing else changes, so JSON text stays the same JSON.
    static func escaped(_ text: String) -> String {
        guard !text.utf8.allSatisfy(isPlain) else { return text }
        var result = ""
        result.reserveCapacity(text.utf8.count)
        var marks = 0
        var isAfterASCII = true
        var isAfterLetter = false
        for scalar in text.unicodeScalars {
            marks = isMark(scalar) ? marks + 1 : 0
            // A joiner after an ASCII character joins nothing: it only makes two names look alike. A variation selector
            // has no effect on an ASCII letter; after a digit it can be part of a keycap.
            let isStray = scalar.isJoiner && isAfterASCII || scalar.properties.isVariationSelector && isAfterLetter
            if scalar.isHarmful || isStray || marks > mostMarks {
                result += scalar.jsonEscape
            } else {
                result.unicodeScalars.append(scalar)
            }
            isAfterASCII = scalar.isASCII
            isAfterLetter = isAfterASCII && scalar.properties.isAlphabetic
        }
        return result
    }

    /// The text, escaped and cut to this number of columns; a cut text ends with `…`.
    static func escaped(_ text: String, columns: Int) -> String {
        // A column holds only a few bytes, so the rest of a long text is not examined. Cut by scalars, because a single
        // character can be of any length.
        let isLong = text.utf8.count > columns * 32
        let safe = escaped(isLong ? String(text.unicodeScalars.prefix(columns * 8 + 1)) : text)
        guard isLong || TextWidth.columns(of: safe) > columns else { return safe }
        return TextWidth.cut(safe, to: columns)
    }

    /// The longest name that is shown whole, in columns.
    static let longestName = 200

    /// A name for a column: `-` when it is empty, quoted when it has spaces, so that it cannot look like several
    /// columns, and cut when it is longer than ``longestName``.
    static func name(_ text: String) -> String {
        if text.isEmpty { return "-" }
        let safe = escaped(text, columns: longestName)
        return text.unicodeScalars.contains { $0.properties.isWhitespace } ? "\"\(safe)\"" : safe
    }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        guard !scalar.isASCII else { return false }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark: return true
        default: return false
        }
    }

    private static func isPlain(_ byte: UInt8) -> Bool { byte >= 0x20 && byte < 0x7F }
}
