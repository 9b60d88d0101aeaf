extension String {
    /// The text, made safe for an error's message or a log line, whatever its source: what is harmful becomes JSON
    /// escapes (`\\u001b`).
    package var harmless: String {
        guard !utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else { return self }
        var result = ""
        result.reserveCapacity(utf8.count)
        for scalar in unicodeScalars {
            if scalar.isHarmful {
                result += scalar.jsonEscape
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

/// Which scalars of foreign text are dangerous or not seen: this list is the only one of the package.
extension Unicode.Scalar {
    /// Whether it is shown as it is nowhere: it begins another line, moves a terminal's cursor, changes colours, reorders a
    /// line, or is not seen although no script needs it.
    package var isHarmful: Bool {
        if isASCII { return value < 0x20 || value == 0x7F }
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse: return true
        // Bidirectional controls, zero-width characters and tags; many scripts and emoji need the joiners.
        case .format: return !isJoiner
        default: return Self.invisible.contains(value)
        }
    }

    /// Whether it is not seen although scripts or emoji need it: a joiner, or a variation selector other than that of
    /// emoji. Names that differ in it look alike, and words can be hidden in many of them.
    package var isUnseen: Bool { isJoiner || properties.isVariationSelector && value != 0xFE0F }

    /// Whether it is one of the two zero-width joiners.
    package var isJoiner: Bool { value == 0x200C || value == 0x200D }

    /// Letters, marks and symbols that are invisible.
    private static let invisible: Set<UInt32> = [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0]

    /// It as JSON escapes: `\u202e`; outside of the basic plane two.
    package var jsonEscape: String {
        String(self).utf16.map { unit in
            let digits = String(unit, radix: 16)
            return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }.joined()
    }
}
