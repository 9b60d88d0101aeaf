/// One validating pass over JSON text (RFC 8259) in place: no tree, no allocation.
///
/// The scanner checks grammar and depth as it goes. UTF-8 is checked by ``validateUTF8()`` at the end, and only when a
/// byte outside ASCII was seen; such a byte outside a string is an error anyway.
///
/// The bytes must outlive the scanner; it never reads outside them.
struct JSONScanner {
    /// Why the scanner refuses a text.
    enum Failure: Error {
        case unexpectedEnd
        case unexpectedCharacter
        case invalidEscape
        case controlCharacter
        case invalidNumber
        case tooDeep
        case invalidUTF8
        case trailingCharacters

        var description: String {
            switch self {
            case .unexpectedEnd: "the text ends too early"
            case .unexpectedCharacter: "unexpected character"
            case .invalidEscape: "invalid escape in a string"
            case .controlCharacter: "unescaped control character in a string"
            case .invalidNumber: "invalid number"
            case .tooDeep: "deeper than \(JSONScanner.maximumDepth) levels"
            case .invalidUTF8: "invalid UTF-8"
            case .trailingCharacters: "something follows the value"
            }
        }
    }

    /// The deepest nesting of objects and arrays that is read, the outermost one included.
    static let maximumDepth = 128

    private let start: UnsafePointer<UInt8>
    private let end: Int
    /// The next byte to read.
    private(set) var offset = 0
    /// Whether white space between tokens was skipped since this was last set to `false`.
    var sawWhitespace = false
    /// The deepest nesting since this was last set.
    var deepest = 0
    /// Bits of bytes outside ASCII that strings held.
    private var nonASCII: UInt64 = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        let empty: StaticString = ""
        start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? empty.utf8Start
        end = bytes.count
    }

    /// The next byte; 0 (which no token starts with) at the end.
    @inline(__always)
    func peek() -> UInt8 {
        guard offset < end else { return 0 }
        return start[offset]
    }

    @inline(__always)
    mutating func advance() { offset &+= 1 }

    /// Skips `text` when it comes next; else returns `false`.
    @inline(__always)
    mutating func skip(_ text: StaticString) -> Bool {
        let length = text.utf8CodeUnitCount
        guard end &- offset >= length else { return false }
        let expected = UnsafeRawPointer(text.utf8Start)
        let found = UnsafeRawPointer(start + offset)
        // The compiler turns this into comparisons with constants; the last word may overlap the one before.
        var index = 0
        while index &+ 8 <= length {
            if found.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                != expected.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            {
                return false
            }
            index &+= 8
        }
        while index < length {
            if found.load(fromByteOffset: index, as: UInt8.self)
                != expected.load(fromByteOffset: index, as: UInt8.self)
            {
                return false
            }
            index &+= 1
        }
        offset &+= length
        return true
    }

    /// The error for a byte that cannot be here.
    func unexpected() -> Failure { offset >= end ? .unexpectedEnd : .unexpectedCharacter }

    @inline(__always)
    mutating func skipWhitespace() {
        if peek() > 0x20 { return }
        skipWhitespaceSlowly()
    }

    @inline(never)
    private mutating func skipWhitespaceSlowly() {
        while true {
            switch peek() {
            case 0x20, 0x0A, 0x0D, 0x09:
                sawWhitespace = true
                advance()
            default:
                return
            }
        }
    }

    @inline(__always)
    mutating func expect(_ byte: UInt8) throws(Failure) {
        guard peek() == byte else { throw unexpected() }
        advance()
    }

    /// Checks that only white space follows.
    mutating func expectEnd() throws(Failure) {
        skipWhitespace()
        guard offset == end else { throw .trailingCharacters }
    }

    /// Checks that the whole text is UTF-8, when a string held a byte outside ASCII.
    func validateUTF8() throws(Failure) {
        guard nonASCII != 0 else { return }
        guard UTF8Validation.isValid(UnsafeBufferPointer(start: start, count: end)) else { throw .invalidUTF8 }
    }

    /// Reads any value; the next byte is its first.
    ///
    /// - Parameter depth: how many containers surround the value.
    mutating func scanValue(depth: Int) throws(Failure) {
        switch peek() {
        case UInt8(ascii: "\""):
            advance()
            _ = try scanString()
        case UInt8(ascii: "{"):
            advance()
            try scanObject(depth: depth + 1)
        case UInt8(ascii: "["):
            advance()
            try scanArray(depth: depth + 1)
        case UInt8(ascii: "t"): try scanWord(0x6575_7274)
        case UInt8(ascii: "n"): try scanNull()
        case UInt8(ascii: "f"):
            advance()
            try scanWord(0x6573_6C61)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try scanNumber()
        default: throw unexpected()
        }
    }

    @inline(__always)
    mutating func scanNull() throws(Failure) { try scanWord(0x6C6C_756E) }

    @inline(__always)
    private mutating func scanWord(_ word: UInt32) throws(Failure) {
        guard end &- offset >= 4 else { throw .unexpectedEnd }
        let found = UInt32(littleEndian: UnsafeRawPointer(start + offset).loadUnaligned(as: UInt32.self))
        guard found == word else { throw .unexpectedCharacter }
        offset &+= 4
    }

    /// Reads an object whose `{` has been read.
    mutating func scanObject(depth: Int) throws(Failure) {
        try enter(depth)
        skipWhitespace()
        if peek() == UInt8(ascii: "}") { return advance() }
        while true {
            try expect(UInt8(ascii: "\""))
            _ = try scanString()
            skipWhitespace()
            try expect(UInt8(ascii: ":"))
            skipWhitespace()
            try scanValue(depth: depth)
            skipWhitespace()
            let byte = peek()
            if byte == UInt8(ascii: ",") {
                advance()
                skipWhitespace()
            } else if byte == UInt8(ascii: "}") {
                return advance()
            } else {
                throw unexpected()
            }
        }
    }

    private mutating func scanArray(depth: Int) throws(Failure) {
        try enter(depth)
        skipWhitespace()
        if peek() == UInt8(ascii: "]") { return advance() }
        while true {
            try scanValue(depth: depth)
            skipWhitespace()
            let byte = peek()
            if byte == UInt8(ascii: ",") {
                advance()
                skipWhitespace()
            } else if byte == UInt8(ascii: "]") {
                return advance()
            } else {
                throw unexpected()
            }
        }
    }

    @inline(__always)
    private mutating func enter(_ depth: Int) throws(Failure) {
        if depth > deepest {
            guard depth <= Self.maximumDepth else { throw .tooDeep }
            deepest = depth
        }
    }

    private mutating func scanNumber() throws(Failure) {
        if peek() == UInt8(ascii: "-") { advance() }
        if peek() == UInt8(ascii: "0") {
            advance()
        } else {
            try scanDigits()
        }
        if peek() == UInt8(ascii: ".") {
            advance()
            try scanDigits()
        }
        if peek() | 0x20 == UInt8(ascii: "e") {
            advance()
            let sign = peek()
            if sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { advance() }
            try scanDigits()
        }
    }

    @inline(__always)
    private mutating func scanDigits() throws(Failure) {
        let first = offset
        while peek() &- UInt8(ascii: "0") <= 9 { advance() }
        guard offset > first else { throw offset >= end ? .unexpectedEnd : .invalidNumber }
    }

    /// Reads a string whose opening quote has been read; its text ends one byte before ``offset`` then.
    ///
    /// - Returns: whether it holds escapes.
    @inline(__always)
    mutating func scanString() throws(Failure) -> Bool {
        var escaped = false
        while true {
            // Eight bytes at a time to the next quote, backslash or control character.
            while end &- offset >= 8 {
                let word = UInt64(littleEndian: UnsafeRawPointer(start + offset).loadUnaligned(as: UInt64.self))
                nonASCII |= word & WordSearch.highBits
                let special = WordSearch.needsAttention(word)
                guard special == 0 else {
                    offset &+= special.trailingZeroBitCount &>> 3
                    break
                }
                offset &+= 8
            }
            let byte = peek()
            if byte == UInt8(ascii: "\"") {
                advance()
                return escaped
            }
            if byte == UInt8(ascii: "\\") {
                escaped = true
                try scanEscape()
            } else if byte >= 0x20 {
                if byte >= 0x80 { nonASCII |= 0x80 }
                advance()
            } else {
                throw offset >= end ? .unexpectedEnd : .controlCharacter
            }
        }
    }

    @inline(never)
    private mutating func scanEscape() throws(Failure) {
        advance()
        switch peek() {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            advance()
        case UInt8(ascii: "u"):
            advance()
            for _ in 0..<4 {
                guard JSONText.hexadecimal(peek()) != nil else {
                    throw offset >= end ? .unexpectedEnd : .invalidEscape
                }
                advance()
            }
        default:
            throw offset >= end ? .unexpectedEnd : .invalidEscape
        }
    }
}

/// Checks UTF-8 by the table of well-formed sequences in the Unicode Standard (3.9, table 3-7): no overlong forms, no
/// surrogates, nothing above U+10FFFF.
enum UTF8Validation {
    static func isValid(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let start = bytes.baseAddress else { return true }
        let end = bytes.count
        var offset = 0

        func isContinuation(_ index: Int, _ range: ClosedRange<UInt8> = 0x80...0xBF) -> Bool {
            index < end && range.contains(start[index])
        }

        while offset < end {
            if end - offset >= 8 {
                let word = UnsafeRawPointer(start + offset).loadUnaligned(as: UInt64.self)
                if word & WordSearch.highBits == 0 {
                    offset += 8
                    continue
                }
            }
            let lead = start[offset]
            switch lead {
            case 0...0x7F:
                offset += 1
            case 0xC2...0xDF:
                guard isContinuation(offset + 1) else { return false }
                offset += 2
            case 0xE0...0xEF:
                let second: ClosedRange<UInt8> = lead == 0xE0 ? 0xA0...0xBF : lead == 0xED ? 0x80...0x9F : 0x80...0xBF
                guard isContinuation(offset + 1, second), isContinuation(offset + 2) else { return false }
                offset += 3
            case 0xF0...0xF4:
                let second: ClosedRange<UInt8> = lead == 0xF0 ? 0x90...0xBF : lead == 0xF4 ? 0x80...0x8F : 0x80...0xBF
                guard isContinuation(offset + 1, second), isContinuation(offset + 2), isContinuation(offset + 3) else {
                    return false
                }
                offset += 4
            default:
                return false
            }
        }
        return true
    }
}

/// Finds bytes in a little-endian word of eight.
///
/// A result has the top bit of each byte found set. Above the lowest byte found, other bits may be set wrongly
/// (borrows). So the lowest one, `trailingZeroBitCount / 8`, is exact, and so is a result of 0. A search from the end
/// must check the byte itself.
enum WordSearch {
    static let ones: UInt64 = 0x0101_0101_0101_0101
    static let highBits: UInt64 = 0x8080_8080_8080_8080

    /// Quotes, backslashes and control characters: the bytes that end a plain run of a JSON string.
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

    /// Quotes and backslashes: the bytes that a search in a valid string stops at.
    @inline(__always)
    static func quoteOrBackslash(_ word: UInt64) -> UInt64 {
        let quote = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
        let backslash = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
        return (((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash)) & highBits
    }

    /// Quotes, brackets and braces: the bytes that a search in valid text outside strings stops at.
    @inline(__always)
    static func quoteOrBracket(_ word: UInt64) -> UInt64 {
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
