/// Makes text that others wrote harmless on a terminal: what could move the cursor, change colours, reorder a line or
/// begin another one is shown as a JSON escape.
enum SafeText {
    /// So many marks on one letter are drawn over the lines above and below.
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
            // Between letters of ASCII a joiner joins nothing: it only makes two names look alike.
            // A letter has no other shape to select; behind a digit it can be a keycap.
            let isStray = isJoiner(scalar) && isAfterASCII || scalar.properties.isVariationSelector && isAfterLetter
            if isUnsafe(scalar) || isStray || marks > mostMarks {
                for unit in String(scalar).utf16 { result += escape(unit) }
            } else {
                result.unicodeScalars.append(scalar)
            }
            isAfterASCII = scalar.isASCII
            isAfterLetter = isAfterASCII && scalar.properties.isAlphabetic
        }
        return result
    }

    /// The text, escaped and cut to so many columns; where something was cut it ends with `…`.
    static func escaped(_ text: String, columns: Int) -> String {
        // No column holds more than a few bytes: what lies far beyond need not be looked at. In scalars, for a
        // character may be of any length.
        let isLong = text.utf8.count > columns * 32
        let safe = escaped(isLong ? String(text.unicodeScalars.prefix(columns * 8 + 1)) : text)
        guard isLong || TextWidth.columns(of: safe) > columns else { return safe }
        return TextWidth.cut(safe, to: columns)
    }

    /// The longest name that is shown whole, in columns.
    static let longestName = 200

    /// A name for a column: quoted when it is empty or holds spaces, so that it cannot pass for several columns, and
    /// cut when it is longer than any that is one.
    static func name(_ text: String) -> String {
        if text.isEmpty { return "-" }
        let safe = escaped(text, columns: longestName)
        return text.unicodeScalars.contains { $0.properties.isWhitespace } ? "\"\(safe)\"" : safe
    }

    /// Whether a scalar may not reach a terminal as it is.
    static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return !isPlain(UInt8(truncatingIfNeeded: scalar.value)) }
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse: return true
        // Bidirectional controls, invisible marks and tags; the joiners are part of many scripts and of emoji.
        case .format: return !isJoiner(scalar)
        default: return invisible.contains(scalar.value)
        }
    }

    /// Letters, marks and symbols that show nothing.
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

    private static func escape(_ unit: UInt16) -> String {
        let digits = String(unit, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
}
