/// Finds members and elements in compact JSON text that is known to be valid. It never reads outside the text, even
/// when the text is not valid.
@usableFromInline
package struct JSONNavigator {
    @usableFromInline let bytes: UnsafeBufferPointer<UInt8>

    /// A navigator in this text.
    @inlinable
    package init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// The byte at this offset; 0 behind the end.
    @inlinable
    @inline(__always)
    package func byte(at offset: Int) -> UInt8 {
        guard offset < bytes.count, let start = bytes.baseAddress else { return 0 }
        return start[offset]
    }

    /// The offset of the closing quote of the string whose text begins at `start`, and whether it holds escapes.
    @inlinable
    @inline(__always)
    func endOfString(from start: Int) -> (end: Int, hasEscapes: Bool) {
        guard let base = bytes.baseAddress else { return (start, false) }
        var offset = start
        var hasEscapes = false
        while true {
            while bytes.count &- offset >= 8 {
                let word = UInt64(littleEndian: UnsafeRawPointer(base + offset).loadUnaligned(as: UInt64.self))
                let special = WordSearch.quoteOrBackslash(word)
                guard special == 0 else {
                    offset &+= special.trailingZeroBitCount &>> 3
                    break
                }
                offset &+= 8
            }
            guard offset < bytes.count else { return (bytes.count, hasEscapes) }
            switch base[offset] {
            case UInt8(ascii: "\""): return (offset, hasEscapes)
            case UInt8(ascii: "\\"):
                hasEscapes = true
                offset &+= 2
            default: offset &+= 1
            }
        }
    }

    /// The offset just behind the value that begins at `start`.
    @inlinable
    @inline(__always)
    func endOfValue(at start: Int) -> Int {
        switch byte(at: start) {
        case UInt8(ascii: "\""):
            return min(endOfString(from: start &+ 1).end &+ 1, bytes.count)
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            return closedContainer(at: start) ?? bytes.count
        default:
            return endOfScalar(at: start)
        }
    }

    @inlinable
    @inline(__always)
    func endOfScalar(at start: Int) -> Int {
        guard let base = bytes.baseAddress else { return start }
        let end = bytes.count
        var offset = start
        while offset < end {
            let byte = base[offset]
            // A closing bracket or brace, with one comparison.
            if byte == UInt8(ascii: ",") || byte | 0x20 == UInt8(ascii: "}") { break }
            offset &+= 1
        }
        return offset
    }

    /// The offset just behind the object or array that begins at `start`; `nil` when it is not closed. Of brackets and
    /// braces it counts how many are open.
    @usableFromInline
    func closedContainer(at start: Int) -> Int? {
        guard let base = bytes.baseAddress else { return nil }
        let end = bytes.count
        var depth = 0
        var offset = start
        while offset < end {
            let byte = base[offset]
            offset &+= 1
            if byte == UInt8(ascii: "\"") {
                offset = endOfString(from: offset).end &+ 1
            } else if byte | 0x20 == UInt8(ascii: "{") {
                depth &+= 1
            } else if byte | 0x20 == UInt8(ascii: "}") {
                depth &-= 1
                if depth == 0 { return offset }
            }
        }
        return nil
    }

    /// The offset of the closing quote of the string whose text begins at `start`; `nil` when it is not closed.
    @inline(__always)
    func closingQuote(from start: Int) -> Int? {
        let end = endOfString(from: start).end
        return end < bytes.count ? end : nil
    }

    /// Calls `body` for each member of the object at `start`: the name's text, whether that holds escapes, the value.
    @inlinable
    @inline(__always)
    package func forEachMember(
        ofObjectAt start: Int,
        _ body: (_ name: Range<Int>, _ hasEscapes: Bool, _ value: Range<Int>) -> Void
    ) {
        var offset = start &+ 1
        while byte(at: offset) == UInt8(ascii: "\"") {
            let nameStart = offset &+ 1
            let (nameEnd, hasEscapes) = endOfString(from: nameStart)
            let valueStart = nameEnd &+ 2
            guard valueStart < bytes.count else { return }
            let valueEnd = endOfValue(at: valueStart)
            body(nameStart..<nameEnd, hasEscapes, valueStart..<valueEnd)
            guard byte(at: valueEnd) == UInt8(ascii: ",") else { return }
            offset = valueEnd &+ 1
        }
    }

    /// Calls `body` for each element of the array at `start`.
    @inlinable
    @inline(__always)
    package func forEachElement(ofArrayAt start: Int, _ body: (Range<Int>) -> Void) {
        var offset = start &+ 1
        while offset < bytes.count, byte(at: offset) != UInt8(ascii: "]") {
            let end = endOfValue(at: offset)
            body(offset..<end)
            guard byte(at: end) == UInt8(ascii: ",") else { return }
            offset = end &+ 1
        }
    }

    /// The bytes of this part of the text.
    @inlinable
    @inline(__always)
    package func slice(_ range: Range<Int>) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(rebasing: bytes[range])
    }

    /// The string at `range`, quotes included.
    package func string(at range: Range<Int>) -> String {
        let (end, hasEscapes) = endOfString(from: range.lowerBound + 1)
        return JSONText.string(slice(range.lowerBound + 1..<end), hasEscapes: hasEscapes)
    }
}

// Of members with the same name the last one counts: the search goes from the end and stops at the first that matches.
extension JSONNavigator {
    /// The value of the last member of this name in the object at `range`.
    package func member(named name: UnsafeBufferPointer<UInt8>, ofObjectAt range: Range<Int>) -> Range<Int>? {
        guard let base = bytes.baseAddress, range.lowerBound >= 0, range.upperBound <= bytes.count else { return nil }
        let first = range.lowerBound &+ 1
        var valueEnd = range.upperBound &- 1
        // The shortest member is `"":0`.
        while valueEnd &- first >= 4 {
            let valueStart = startOfValue(endingAt: valueEnd, notBefore: first, base)
            let nameEnd = valueStart &- 2
            guard nameEnd > first else { return nil }
            let (nameStart, hasEscapes) = startOfString(closedAt: nameEnd, notBefore: first, base)
            let text = UnsafeBufferPointer(start: base + nameStart, count: nameEnd &- nameStart)
            let matches =
                hasEscapes
                ? JSONText.string(text, hasEscapes: true).withBytes { $0.hasSameBytes(as: name) }
                : text.hasSameBytes(as: name)
            if matches { return valueStart..<valueEnd }
            // In front of the name's quote there is a comma, or the brace.
            valueEnd = nameStart &- 2
        }
        return nil
    }

    /// Where the value begins that ends just before `end`.
    @inline(__always)
    private func startOfValue(endingAt end: Int, notBefore first: Int, _ base: UnsafePointer<UInt8>) -> Int {
        let last = base[end &- 1]
        if last == UInt8(ascii: "\"") {
            return startOfString(closedAt: end &- 1, notBefore: first, base).start &- 1
        }
        if last | 0x20 == UInt8(ascii: "}") { return startOfContainer(endingAt: end, notBefore: first, base) }
        var offset = end &- 1
        while offset > first, base[offset &- 1] != UInt8(ascii: ":") { offset &-= 1 }
        return offset
    }

    /// Where the text begins of the string whose closing quote is at `end`, and whether it holds escapes.
    @inline(__always)
    private func startOfString(
        closedAt end: Int,
        notBefore first: Int,
        _ base: UnsafePointer<UInt8>
    ) -> (start: Int, hasEscapes: Bool) {
        var offset = end
        var hasEscapes = false
        while offset > first {
            // Goes back eight bytes at a time, to the last byte that may be a quote or a backslash.
            if offset >= 8 {
                let word = UInt64(littleEndian: UnsafeRawPointer(base + (offset &- 8)).loadUnaligned(as: UInt64.self))
                offset &-= WordSearch.quoteOrBackslash(word).leadingZeroBitCount &>> 3
                guard offset > first else { break }
            }
            let byte = base[offset &- 1]
            if byte == UInt8(ascii: "\\") {
                hasEscapes = true
            } else if byte == UInt8(ascii: "\"") {
                // A quote inside of a string has a backslash before it.
                if offset &- 1 <= first || base[offset &- 2] != UInt8(ascii: "\\") { return (offset, hasEscapes) }
            }
            offset &-= 1
        }
        return (first, hasEscapes)
    }

    /// Where the object or array begins that ends just before `end`.
    private func startOfContainer(endingAt end: Int, notBefore first: Int, _ base: UnsafePointer<UInt8>) -> Int {
        var depth = 0
        var offset = end
        while offset > first {
            if offset >= 8 {
                let word = UInt64(littleEndian: UnsafeRawPointer(base + (offset &- 8)).loadUnaligned(as: UInt64.self))
                offset &-= WordSearch.quoteOrBracket(word).leadingZeroBitCount &>> 3
                guard offset > first else { break }
            }
            offset &-= 1
            let byte = base[offset]
            if byte == UInt8(ascii: "\"") {
                offset = startOfString(closedAt: offset, notBefore: first, base).start &- 1
            } else if byte | 0x20 == UInt8(ascii: "}") {
                depth &+= 1
            } else if byte | 0x20 == UInt8(ascii: "{") {
                depth &-= 1
                if depth == 0 { return offset }
            }
        }
        return first
    }
}
