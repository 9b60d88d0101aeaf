// Of members with the same name the last one counts: the search goes from the end and stops at the first that matches.
extension JSONNavigator {
    /// The value of the last member of this name in the object at `range`.
    func member(named name: UnsafeBufferPointer<UInt8>, ofObjectAt range: Range<Int>) -> Range<Int>? {
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
