/// Finds bytes in a little-endian word of eight.
///
/// A result has the top bit of each byte found set. Above the lowest byte found, other bits may be set wrongly
/// (borrows). So the lowest one, `trailingZeroBitCount / 8`, is exact, and so is a result of 0. A search from the end
/// must check the byte itself.
@usableFromInline
package enum WordSearch {
    @inlinable static var ones: UInt64 { 0x0101_0101_0101_0101 }
    /// The top bit of each byte: set where a byte is outside ASCII.
    @inlinable package static var highBits: UInt64 { 0x8080_8080_8080_8080 }

    /// Quotes, backslashes and control characters: the bytes that end a plain run of a JSON string.
    @inlinable
    @inline(__always)
    package static func needsAttention(_ word: UInt64) -> UInt64 {
        let quote = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
        let backslash = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
        let found =
            ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash) | ((word &- (ones &* 0x20)) & ~word)
        return found & highBits
    }

    /// Line feeds.
    @inlinable
    @inline(__always)
    package static func lineFeed(_ word: UInt64) -> UInt64 {
        let lineFeed = word ^ (ones &* 0x0A)
        return (lineFeed &- ones) & ~lineFeed & highBits
    }

    /// Quotes and backslashes: the bytes that a search in a valid string stops at.
    @inlinable
    @inline(__always)
    package static func quoteOrBackslash(_ word: UInt64) -> UInt64 {
        let quote = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
        let backslash = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
        return (((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash)) & highBits
    }

    /// Quotes, brackets and braces: the bytes that a search in valid text outside strings stops at.
    @inlinable
    @inline(__always)
    package static func quoteOrBracket(_ word: UInt64) -> UInt64 {
        // This bit turns brackets into braces. A quote has the bit already, and no other byte of valid text becomes a
        // quote.
        let folded = word | (ones &* 0x20)
        let quote = folded ^ (ones &* UInt64(UInt8(ascii: "\"")))
        let opening = folded ^ (ones &* UInt64(UInt8(ascii: "{")))
        let closing = folded ^ (ones &* UInt64(UInt8(ascii: "}")))
        let found =
            ((quote &- ones) & ~quote) | ((opening &- ones) & ~opening) | ((closing &- ones) & ~closing)
        return found & highBits
    }
}
