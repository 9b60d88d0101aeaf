/// Makes text of other clients harmless where a person reads it: characters that could move the cursor, change colours,
/// reorder a line, begin another one or not be seen become JSON escapes.
package enum VisibleText {
    /// The most marks on one letter: more would be drawn over the lines above and below.
    private static let mostMarks = 6

    /// The text with every unsafe scalar as `\u….`; nothing else changes, so JSON text stays the same JSON.
    package static func escaped(_ text: String) -> String {
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

    /// Whether a scalar must be escaped.
    package static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
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

    /// Whether a byte is printable ASCII.
    package static func isPlain(_ byte: UInt8) -> Bool { byte >= 0x20 && byte < 0x7F }

    /// A scalar as JSON escapes: `\u202e`.
    package static func escape(_ scalar: Unicode.Scalar) -> String {
        String(scalar).utf16.map { unit in
            let digits = String(unit, radix: 16)
            return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }.joined()
    }
}
