/// Walks the members of one JSON object without building values: for the few kinds of answers that come by the hundred
/// thousand. Values that are objects or arrays are skipped as one piece.
///
/// The text may hold white space, and it need not be valid: the reader checks only what it needs to find the members.
@usableFromInline
package struct FlatJSONReader {
    private let text: JSONNavigator
    private var position = 0
    private var isFirst = true
    /// Whether the object ended properly, with only white space behind it.
    package private(set) var isComplete = false

    /// A reader of this text.
    package init(_ bytes: UnsafeRawBufferPointer) {
        text = JSONNavigator(bytes: bytes.assumingMemoryBound(to: UInt8.self))
    }

    /// A member: its name, to compare with a literal, and where its value lies.
    package struct Member {
        /// The name.
        package let name: Name
        /// Where the value lies.
        package let value: Range<Int>
    }

    /// A name's bytes, compared without making a String.
    @usableFromInline
    package struct Name {
        @usableFromInline let bytes: UnsafeBufferPointer<UInt8>

        /// Whether the name is this one; never when the text spells it with escapes.
        @inlinable
        @inline(__always)
        package static func ~= (pattern: StaticString, name: Name) -> Bool {
            guard pattern.hasPointerRepresentation else { return false }
            return name.bytes.hasSameBytes(
                as: UnsafeBufferPointer(start: pattern.utf8Start, count: pattern.utf8CodeUnitCount)
            )
        }
    }

    /// Skips the opening brace; returns whether there was one.
    package mutating func beginObject() -> Bool {
        skipSpace()
        return take(UInt8(ascii: "{"))
    }

    /// The next member; `nil` at the end of the object and at anything that is not JSON.
    package mutating func nextMember() -> Member? {
        skipSpace()
        if take(UInt8(ascii: "}")) {
            skipSpace()
            isComplete = position == text.bytes.count
            return nil
        }
        if !isFirst {
            guard take(UInt8(ascii: ",")) else { return nil }
            skipSpace()
        }
        isFirst = false
        let name = position &+ 1
        guard take(UInt8(ascii: "\"")), let end = text.closingQuote(from: name) else { return nil }
        position = end &+ 1
        skipSpace()
        guard take(UInt8(ascii: ":")) else { return nil }
        skipSpace()
        let start = position
        guard skipValue() else { return nil }
        return Member(name: Name(bytes: text.slice(name..<end)), value: start..<position)
    }

    /// A string value; `nil` for another kind, and for one with escapes (names of streams have none).
    package func string(_ range: Range<Int>) -> String? {
        guard range.count >= 2, text.byte(at: range.lowerBound) == UInt8(ascii: "\""),
            !text.endOfString(from: range.lowerBound &+ 1).hasEscapes
        else { return nil }
        return String(decoding: text.slice(range.lowerBound &+ 1..<range.upperBound &- 1), as: UTF8.self)
    }

    /// A whole number of at most 64 bits without a sign.
    package func number(_ range: Range<Int>) -> UInt64? {
        guard !range.isEmpty else { return nil }
        var value: UInt64 = 0
        for byte in text.slice(range) {
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, sumOverflow) = scaled.addingReportingOverflow(UInt64(digit))
            guard !overflow, !sumOverflow else { return nil }
            value = sum
        }
        return value
    }

    /// Whether the value is `true`.
    package func isTrue(_ range: Range<Int>) -> Bool { text.slice(range).elementsEqual("true".utf8) }

    @inline(__always)
    private mutating func skipSpace() {
        while Self.isSpace(text.byte(at: position)) { position &+= 1 }
    }

    @inline(__always)
    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    @inline(__always)
    private mutating func take(_ byte: UInt8) -> Bool {
        guard text.byte(at: position) == byte else { return false }
        position &+= 1
        return true
    }

    /// Skips a value: brackets are counted, not checked.
    @inline(__always)
    private mutating func skipValue() -> Bool {
        let end: Int?
        switch text.byte(at: position) {
        case UInt8(ascii: "\""): end = text.closingQuote(from: position &+ 1).map { $0 &+ 1 }
        case UInt8(ascii: "{"), UInt8(ascii: "["): end = text.closedContainer(at: position)
        default: end = endOfScalar()
        }
        guard let end else { return false }
        position = end
        return true
    }

    /// Where the number, `true`, `false` or `null` ends that begins here; `nil` when nothing does.
    @inline(__always)
    private func endOfScalar() -> Int? {
        var end = position
        while end < text.bytes.count {
            let byte = text.byte(at: end)
            // A closing bracket or brace, with one comparison.
            if byte == UInt8(ascii: ",") || byte | 0x20 == UInt8(ascii: "}") || Self.isSpace(byte) { break }
            end &+= 1
        }
        return end > position ? end : nil
    }
}
