/// Finds members and elements in compact JSON text that is known to be valid. It never reads outside the text, even
/// when the text is not valid.
struct JSONNavigator {
    let bytes: UnsafeBufferPointer<UInt8>

    @inline(__always)
    func byte(at offset: Int) -> UInt8 {
        guard offset < bytes.count, let start = bytes.baseAddress else { return 0 }
        return start[offset]
    }

    /// The offset of the closing quote of the string whose text begins at `start`, and whether it holds escapes.
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
    @inline(__always)
    func endOfValue(at start: Int) -> Int {
        switch byte(at: start) {
        case UInt8(ascii: "\""):
            return min(endOfString(from: start &+ 1).end &+ 1, bytes.count)
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            return endOfContainer(at: start)
        default:
            return endOfScalar(at: start)
        }
    }

    @inline(__always)
    private func endOfScalar(at start: Int) -> Int {
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

    private func endOfContainer(at start: Int) -> Int {
        guard let base = bytes.baseAddress else { return start }
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
        return end
    }

    /// Calls `body` for each member of the object at `start`: the name's text, whether that holds escapes, the value.
    @inline(__always)
    func forEachMember(
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
    @inline(__always)
    func forEachElement(ofArrayAt start: Int, _ body: (Range<Int>) -> Void) {
        var offset = start &+ 1
        while offset < bytes.count, byte(at: offset) != UInt8(ascii: "]") {
            let end = endOfValue(at: offset)
            body(offset..<end)
            guard byte(at: end) == UInt8(ascii: ",") else { return }
            offset = end &+ 1
        }
    }

    @inline(__always)
    func slice(_ range: Range<Int>) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(rebasing: bytes[range])
    }

    /// The value at `range` as a tree.
    func value(at range: Range<Int>) -> JSONValue {
        switch byte(at: range.lowerBound) {
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "t"): return .bool(true)
        case UInt8(ascii: "f"): return .bool(false)
        case UInt8(ascii: "\""): return .string(string(at: range))
        case UInt8(ascii: "["):
            var values: [JSONValue] = []
            forEachElement(ofArrayAt: range.lowerBound) { values.append(value(at: $0)) }
            return .array(values)
        case UInt8(ascii: "{"):
            var members: [(String, JSONValue)] = []
            forEachMember(ofObjectAt: range.lowerBound) { name, hasEscapes, range in
                members.append((JSONText.string(slice(name), hasEscapes: hasEscapes), value(at: range)))
            }
            return .object(JSONObject(members))
        default:
            return .number(JSONNumber(text: String(decoding: slice(range), as: UTF8.self)))
        }
    }

    /// The string at `range`, quotes included.
    func string(at range: Range<Int>) -> String {
        let (end, hasEscapes) = endOfString(from: range.lowerBound + 1)
        return JSONText.string(slice(range.lowerBound + 1..<end), hasEscapes: hasEscapes)
    }
}
