/// Makes text that others wrote harmless on a terminal: what could move the cursor, change colours, reorder a line or
/// begin another one is shown as a JSON escape.
enum SafeText {
    /// The text with every unsafe scalar as `\u….`; nothing else changes, so JSON text stays the same JSON.
    static func escaped(_ text: String) -> String {
        guard !text.utf8.allSatisfy(isPlain) else { return text }
        var result = ""
        result.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            if isUnsafe(scalar) {
                for unit in String(scalar).utf16 { result += escape(unit) }
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// The text, escaped and cut to so many columns; where something was cut it ends with `…`.
    static func escaped(_ text: String, columns: Int) -> String {
        // No column holds more than a few bytes: what lies far beyond need not be looked at.
        let isLong = text.utf8.count > columns * 32
        let safe = escaped(isLong ? String(text.prefix(columns + 1)) : text)
        guard isLong || TextWidth.columns(of: safe) > columns else { return safe }
        return TextWidth.cut(safe, to: columns)
    }

    /// A name for a column: quoted when it is empty or holds spaces, so that it cannot pass for several columns.
    static func name(_ text: String) -> String {
        if text.isEmpty { return "-" }
        let safe = escaped(text)
        return text.unicodeScalars.contains { $0.properties.isWhitespace } ? "\"\(safe)\"" : safe
    }

    /// Whether a scalar may not reach a terminal as it is.
    static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return !isPlain(UInt8(truncatingIfNeeded: scalar.value)) }
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse: return true
        // Bidirectional controls, invisible marks and tags; the joiners are part of many scripts and of emoji.
        case .format: return scalar.value != 0x200C && scalar.value != 0x200D
        default: return false
        }
    }

    static func isPlain(_ byte: UInt8) -> Bool { byte >= 0x20 && byte < 0x7F }

    private static func escape(_ unit: UInt16) -> String {
        let digits = String(unit, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
}
