/// Walks the members of one JSON object without building values: for the few kinds of answers that come by the hundred
/// thousand. Values that are objects or arrays are skipped as one piece.
struct FlatJSONReader {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0
    private var isFirst = true
    /// Whether the object ended properly, with only white space behind it.
    private(set) var isComplete = false

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// A member: its name as a literal to compare with, and where its value lies.
    struct Member {
        let name: Name
        let value: Range<Int>
    }

    /// A name's bytes, compared without making a String.
    struct Name {
        let bytes: UnsafeRawBufferPointer
        static func ~= (pattern: StaticString, name: Name) -> Bool {
            guard pattern.hasPointerRepresentation, pattern.utf8CodeUnitCount == name.bytes.count else { return false }
            return name.bytes.elementsEqual(
                UnsafeRawBufferPointer(start: pattern.utf8Start, count: pattern.utf8CodeUnitCount)
            )
        }
    }

    /// Skips the opening brace; returns whether there was one.
    mutating func beginObject() -> Bool {
        skipSpace()
        return take(0x7B)
    }

    /// The next member; `nil` at the end of the object and at anything that is not JSON.
    mutating func nextMember() -> Member? {
        skipSpace()
        if take(0x7D) {
            skipSpace()
            isComplete = position == bytes.count
            return nil
        }
        if !isFirst {
            guard take(0x2C) else { return nil }
            skipSpace()
        }
        isFirst = false
        guard let name = skipString() else { return nil }
        skipSpace()
        guard take(0x3A) else { return nil }
        skipSpace()
        let start = position
        guard skipValue() else { return nil }
        let inner = (name.lowerBound + 1)..<(name.upperBound - 1)
        return Member(name: Name(bytes: UnsafeRawBufferPointer(rebasing: bytes[inner])), value: start..<position)
    }

    /// A string value; `nil` for another kind, and for one with escapes (names of streams have none).
    func string(_ range: Range<Int>) -> String? {
        guard range.count >= 2, bytes[range.lowerBound] == 0x22 else { return nil }
        let inner = bytes[(range.lowerBound + 1)..<(range.upperBound - 1)]
        guard !inner.contains(0x5C) else { return nil }
        return String(decoding: inner, as: UTF8.self)
    }

    /// A whole number of at most 64 bits without a sign.
    func number(_ range: Range<Int>) -> UInt64? {
        guard !range.isEmpty else { return nil }
        var value: UInt64 = 0
        for byte in bytes[range] {
            guard byte >= 0x30, byte <= 0x39 else { return nil }
            let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, sumOverflow) = scaled.addingReportingOverflow(UInt64(byte &- 0x30))
            guard !overflow, !sumOverflow else { return nil }
            value = sum
        }
        return value
    }

    /// Whether the value is `true`.
    func isTrue(_ range: Range<Int>) -> Bool { bytes[range].elementsEqual("true".utf8) }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipString() -> Range<Int>? {
        let start = position
        guard take(0x22) else { return nil }
        while position < bytes.count {
            let byte = bytes[position]
            position += byte == 0x5C ? 2 : 1
            if byte == 0x22 { return start..<position }
        }
        position = bytes.count
        return nil
    }

    /// Skips a value: brackets are counted, not checked.
    private mutating func skipValue() -> Bool {
        var depth = 0
        while position < bytes.count {
            switch bytes[position] {
            case 0x22:
                guard skipString() != nil else { return false }
                if depth == 0 { return true }
            case 0x7B, 0x5B:
                depth += 1
                position += 1
            case 0x7D, 0x5D:
                guard depth > 0 else { return false }
                depth -= 1
                position += 1
                if depth == 0 { return true }
            default:
                if depth > 0 {
                    position += 1
                } else {
                    return skipScalar()
                }
            }
        }
        return false
    }

    private mutating func skipScalar() -> Bool {
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case 0x2C, 0x7D, 0x5D, 0x20, 0x09, 0x0A, 0x0D: return position > start
            default: position += 1
            }
        }
        return position > start
    }
}
