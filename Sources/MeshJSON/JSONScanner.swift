/// One validating pass over JSON text (RFC 8259) in place: no tree, no allocation.
///
/// The scanner checks grammar and depth as it goes. UTF-8 is checked by ``validateUTF8()`` at the end, and only when a
/// byte outside ASCII was seen; such a byte outside a string is an error anyway.
///
/// The bytes must outlive the scanner; it never reads outside them.
@usableFromInline
package struct JSONScanner {
    /// Why the scanner refuses a text.
    @usableFromInline
    package enum Failure: Error {
        case unexpectedEnd
        case unexpectedCharacter
        case invalidEscape
        case controlCharacter
        case invalidNumber
        case tooDeep
        case invalidUTF8
        case trailingCharacters

        /// What is wrong with the text.
        package var description: String {
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
    @inlinable package static var maximumDepth: Int { 128 }

    @usableFromInline let start: UnsafePointer<UInt8>
    @usableFromInline let end: Int
    /// The next byte to read.
    @usableFromInline package internal(set) var offset = 0
    /// Whether white space between tokens was skipped since this was last set to `false`.
    package var sawWhitespace = false
    /// The deepest nesting since this was last set.
    package var deepest = 0
    /// Bits of bytes outside ASCII that strings held.
    @usableFromInline var nonASCII: UInt64 = 0

    /// A scanner of this text, at its beginning.
    @inlinable
    package init(_ bytes: UnsafeRawBufferPointer) {
        let empty: StaticString = ""
        start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? empty.utf8Start
        end = bytes.count
    }

    /// The next byte; 0 (which no token starts with) at the end.
    @inlinable
    @inline(__always)
    package func peek() -> UInt8 {
        guard offset < end else { return 0 }
        return start[offset]
    }

    /// Skips a byte.
    @inlinable
    @inline(__always)
    package mutating func advance() { offset &+= 1 }

    /// Skips `text` when it comes next; else returns `false`.
    @inlinable
    @inline(__always)
    package mutating func skip(_ text: StaticString) -> Bool {
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
    @inlinable
    package func unexpected() -> Failure { offset >= end ? .unexpectedEnd : .unexpectedCharacter }

    /// Skips white space.
    @inlinable
    @inline(__always)
    package mutating func skipWhitespace() {
        if peek() > 0x20 { return }
        skipWhitespaceSlowly()
    }

    @inline(never)
    @usableFromInline
    mutating func skipWhitespaceSlowly() {
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

    /// Skips this byte.
    @inlinable
    @inline(__always)
    package mutating func expect(_ byte: UInt8) throws(Failure) {
        guard peek() == byte else { throw unexpected() }
        advance()
    }

    /// Checks that only white space follows.
    @inlinable
    package mutating func expectEnd() throws(Failure) {
        skipWhitespace()
        guard offset == end else { throw .trailingCharacters }
    }

    /// Checks that the whole text is UTF-8, when a string held a byte outside ASCII.
    @inlinable
    package func validateUTF8() throws(Failure) {
        guard nonASCII != 0 else { return }
        guard UTF8Validation.isValid(UnsafeBufferPointer(start: start, count: end)) else { throw .invalidUTF8 }
    }

    /// Reads any value; the next byte is its first.
    ///
    /// - Parameter depth: how many containers surround the value.
    package mutating func scanValue(depth: Int) throws(Failure) {
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
        case UInt8(ascii: "n"): try scanWord(0x6C6C_756E)
        case UInt8(ascii: "f"):
            advance()
            try scanWord(0x6573_6C61)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try scanNumber()
        default: throw unexpected()
        }
    }

    @inline(__always)
    private mutating func scanWord(_ word: UInt32) throws(Failure) {
        guard end &- offset >= 4 else { throw .unexpectedEnd }
        let found = UInt32(littleEndian: UnsafeRawPointer(start + offset).loadUnaligned(as: UInt32.self))
        guard found == word else { throw .unexpectedCharacter }
        offset &+= 4
    }

    /// Reads an object whose `{` has been read.
    private mutating func scanObject(depth: Int) throws(Failure) {
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
    @inlinable
    @inline(__always)
    package mutating func scanString() throws(Failure) -> Bool {
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
    @usableFromInline
    mutating func scanEscape() throws(Failure) {
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
