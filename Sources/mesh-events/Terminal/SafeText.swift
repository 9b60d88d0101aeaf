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
            let isStray = isJoiner(scalar) && isAfterASCII || scalar.properties.isVariationSelector && isAfterLetter
            if isUnsafe(scalar) || isStray || marks > mostMarks {
                result += escape(scalar)
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

    /// Whether a scalar must be escaped for a terminal.
    static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return !isPlain(UInt8(truncatingIfNeeded: scalar.value)) }
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse: return true
        // Bidirectional controls, invisible marks and tags are unsafe; many scripts and emoji need the joiners.
        case .format: return !isJoiner(scalar)
        default: return invisible.contains(scalar.value)
        }
    }

    /// Letters, marks and symbols that are invisible.
    private static let invisible: Set<UInt32> = [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0]

    private static func isJoiner(_ scalar: Unicode.Scalar) -> Bool { scalar.value == 0x200C || scalar.value == 0x200D }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        guard !scalar.isASCII else { return false }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark: return true
        default: return false
        }
    }

    static func isPlain(_ byte: UInt8) -> Bool { byte >= 0x20 && byte < 0x7F }

    /// A scalar as JSON escapes: `\u202e`.
    static func escape(_ scalar: Unicode.Scalar) -> String {
        String(scalar).utf16.map { unit in
            let digits = String(unit, radix: 16)
            return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }.joined()
    }
}
