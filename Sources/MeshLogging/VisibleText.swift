/// Makes text of other clients harmless where a person reads it, as a terminal or a table of a spreadsheet: what is harmful,
/// joins nothing or piles up becomes JSON escapes. For messages, ``Swift/String/harmless`` is enough.
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

    /// Whether a byte is printable ASCII.
    package static func isPlain(_ byte: UInt8) -> Bool { byte >= 0x20 && byte < 0x7F }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        guard !scalar.isASCII else { return false }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark: return true
        default: return false
        }
    }
}
