/// Finds bytes in a little-endian word of eight.
///
/// A result has the top bit of each byte found; above the lowest one found there may be false ones (borrows). So the
/// lowest, `trailingZeroBitCount / 8`, is exact, and so is "none at all"; who searches from the end looks at the byte
/// itself.
enum WordSearch {
    static let ones: UInt64 = 0x0101_0101_0101_0101
    static let highBits: UInt64 = 0x8080_8080_8080_8080

    /// Quotes, backslashes and control characters: what ends or breaks a plain run of a JSON string.
    @inline(__always)
    static func needsAttention(_ word: UInt64) -> UInt64 {
        let quote = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
        let backslash = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
        let found =
            ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash) | ((word &- (ones &* 0x20)) & ~word)
        return found & highBits
    }

    /// Line feeds.
    @inline(__always)
    static func lineFeed(_ word: UInt64) -> UInt64 {
        let lineFeed = word ^ (ones &* 0x0A)
        return (lineFeed &- ones) & ~lineFeed & highBits
    }

    /// Quotes and backslashes: what matters in a string known to be valid.
    @inline(__always)
    static func quoteOrBackslash(_ word: UInt64) -> UInt64 {
        let quote = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
        let backslash = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
        return (((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash)) & highBits
    }

    /// Quotes, brackets and braces: what ends a run of numbers, words, colons and commas between them.
    @inline(__always)
    static func quoteOrBracket(_ word: UInt64) -> UInt64 {
        // With this bit, brackets become braces; a quote has it anyway, and valid text has no byte that becomes one.
        let folded = word | (ones &* 0x20)
        let quote = folded ^ (ones &* UInt64(UInt8(ascii: "\"")))
        let opening = folded ^ (ones &* UInt64(UInt8(ascii: "{")))
        let closing = folded ^ (ones &* UInt64(UInt8(ascii: "}")))
        let found =
            ((quote &- ones) & ~quote) | ((opening &- ones) & ~opening) | ((closing &- ones) & ~closing)
        return found & highBits
    }
}
