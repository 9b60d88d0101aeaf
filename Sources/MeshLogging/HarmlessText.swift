extension String {
    /// The text, made safe for an error's message or a log line, whatever its source. Characters that could begin
    /// another line, move a terminal's cursor, change its colours or reorder a line become JSON escapes (`\\u001b`).
    package var harmless: String {
        guard !utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else { return self }
        var result = ""
        result.reserveCapacity(utf8.count)
        for scalar in unicodeScalars {
            if Self.isHarmful(scalar.value) {
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Whether a character is harmful: control characters of ASCII and of ISO 8859 (C1), line and paragraph separators,
    /// the controls of bidirectional text, and the byte order mark. All have at most four hexadecimal digits.
    private static func isHarmful(_ value: UInt32) -> Bool {
        switch value {
        case 0x00...0x1F, 0x7F...0x9F, 0x061C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
        default: false
        }
    }
}
