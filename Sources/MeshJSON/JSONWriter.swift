/// Writes compact JSON into a buffer of fixed size, without allocating.
///
/// Bytes that do not fit are only counted. When ``count`` exceeds the buffer, the bytes in it must not be used, and
/// ``count`` is the size that the buffer needs.
@usableFromInline
package struct JSONWriter {
    /// Why a value cannot be written as JSON.
    @usableFromInline
    package enum Problem {
        case notFinite
        case beyondDouble
        case tooDeep
        case invalidMember
    }

    /// The deepest nesting that is written, one level less than what is read: an event is an object around its data.
    @inlinable package static var maximumDepth: Int { JSONScanner.maximumDepth - 1 }

    /// The buffer.
    @usableFromInline package let base: UnsafeMutablePointer<UInt8>?
    /// The size of the buffer.
    @usableFromInline package let capacity: Int
    /// How many bytes were written, those that did not fit included.
    @usableFromInline package internal(set) var count = 0
    /// The first value that could not be written.
    @usableFromInline package internal(set) var problem: Problem?
    /// The deepest nesting so far.
    @usableFromInline package internal(set) var deepest = 0
    @usableFromInline var depth = 0

    /// A writer into this buffer.
    @inlinable
    package init(_ buffer: UnsafeMutableRawBufferPointer) {
        base = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
        capacity = buffer.count
    }

    /// Whether the writer is more than three levels deep.
    @inlinable package var isDeep: Bool { depth > 3 }

    /// Whether everything fitted.
    @inlinable package var fits: Bool { count <= capacity }

    /// Notes what cannot be written.
    @inlinable
    package mutating func report(_ problem: Problem) {
        if self.problem == nil { self.problem = problem }
    }

    /// Counts bytes that the caller has written itself at ``base`` + ``count``.
    @inlinable
    @inline(__always)
    package mutating func advance(_ bytes: Int) { count &+= bytes }

    /// Writes a byte as it is.
    @inlinable
    @inline(__always)
    package mutating func write(_ byte: UInt8) {
        if count < capacity, let base { base[count] = byte }
        count &+= 1
    }

    /// Writes a text as it is.
    @inlinable
    @inline(__always)
    package mutating func write(_ text: StaticString) {
        let length = text.utf8CodeUnitCount
        if length <= capacity &- count, let base {
            UnsafeMutableRawPointer(base + count).copyMemory(from: text.utf8Start, byteCount: length)
        }
        count &+= length
    }

    /// Writes bytes as they are.
    @inlinable
    @inline(__always)
    package mutating func write(_ bytes: UnsafeBufferPointer<UInt8>) {
        if bytes.count <= capacity &- count, let base, let source = bytes.baseAddress {
            UnsafeMutableRawPointer(base + count).copyMemory(from: source, byteCount: bytes.count)
        }
        count &+= bytes.count
    }

    /// Opens an object or array: the byte is `{` or `[`.
    @inlinable
    @inline(__always)
    package mutating func open(_ byte: UInt8) {
        depth &+= 1
        if depth > deepest {
            deepest = depth
            if depth > Self.maximumDepth { report(.tooDeep) }
        }
        write(byte)
    }

    /// Closes an object or array: the byte is `}` or `]`.
    @inlinable
    @inline(__always)
    package mutating func close(_ byte: UInt8) {
        depth &-= 1
        write(byte)
    }

    /// Writes JSON text, nested so many levels deep, as it stands.
    package mutating func write(json text: UnsafeBufferPointer<UInt8>, levels: Int) {
        deepest = max(deepest, depth + levels)
        if depth + levels > Self.maximumDepth { report(.tooDeep) }
        write(text)
    }

    /// Writes a member's name and the colon.
    @inlinable
    @inline(__always)
    package mutating func name(_ name: StaticString) {
        write(UInt8(ascii: "\""))
        name.withUTF8Buffer { contents($0) }
        write("\":")
    }

    /// Where a member's name lies that was written without escapes.
    @usableFromInline
    package struct Name {
        @usableFromInline let range: Range<Int>

        @inlinable
        init(range: Range<Int>) { self.range = range }
    }

    /// Writes a member's name and the colon.
    ///
    /// - Returns: where the name lies; `nil` when it needed escapes.
    @inlinable
    @inline(__always)
    package mutating func name(_ name: String) -> Name? {
        let start = count &+ 1
        let length = string(name)
        write(UInt8(ascii: ":"))
        return start &+ length == count &- 2 ? Name(range: start..<start &+ length) : nil
    }

    /// Whether the first name comes before the second in byte order; `false` when the second needed escapes.
    @inlinable
    @inline(__always)
    package func isOrdered(_ first: Name, _ second: Name?) -> Bool {
        guard let second else { return false }
        // The caller writes again with a larger buffer.
        guard fits, let base else { return true }
        var one = first.range.lowerBound
        var two = second.range.lowerBound
        while one < first.range.upperBound, two < second.range.upperBound {
            if base[one] != base[two] { return base[one] < base[two] }
            one &+= 1
            two &+= 1
        }
        return first.range.count < second.range.count
    }

    /// Writes a string with its quotes.
    ///
    /// - Returns: how many bytes the string has, not counting quotes and the bytes that escapes add.
    @inlinable
    @inline(__always)
    @discardableResult
    package mutating func string(_ string: String) -> Int {
        string.withBytes { bytes in
            // Usually the whole string fits and needs no escapes: this checks both at once.
            let length = bytes.count
            if length &+ 2 <= capacity &- count, let base, let source = bytes.baseAddress {
                let target = base + count
                if Self.copyPlain(source, length, to: target + 1) {
                    target[0] = UInt8(ascii: "\"")
                    target[length &+ 1] = UInt8(ascii: "\"")
                    count &+= length &+ 2
                    return length
                }
            }
            write(UInt8(ascii: "\""))
            contents(bytes)
            write(UInt8(ascii: "\""))
            return length
        }
    }

    /// Writes the inside of a string: `"`, `\` and control characters escaped, all else as it is.
    @inlinable
    @inline(__always)
    package mutating func contents(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let source = bytes.baseAddress, let base else {
            count &+= bytes.count
            return
        }
        let length = bytes.count
        if length <= capacity &- count, Self.copyPlain(source, length, to: base + count) {
            count &+= length
        } else {
            escapedContents(bytes)
        }
    }

    /// Copies text that needs no escapes. `false` when it does need some; then the bytes copied must not be used.
    ///
    /// The last bytes are copied as a whole word too, which may copy some bytes twice.
    @inlinable
    @inline(__always)
    static func copyPlain(
        _ bytes: UnsafePointer<UInt8>,
        _ length: Int,
        to output: UnsafeMutablePointer<UInt8>
    ) -> Bool {
        let source = UnsafeRawPointer(bytes)
        let target = UnsafeMutableRawPointer(output)
        if length >= 8 {
            let last = length &- 8
            var offset = 0
            while true {
                let word = source.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                if WordSearch.needsAttention(word) != 0 { return false }
                target.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
                if offset == last { return true }
                offset = min(offset &+ 8, last)
            }
        }
        if length >= 4 {
            let first = source.loadUnaligned(as: UInt32.self)
            let last = source.loadUnaligned(fromByteOffset: length &- 4, as: UInt32.self)
            if WordSearch.needsAttention(UInt64(first) | UInt64(last) &<< 32) != 0 { return false }
            target.storeBytes(of: first, as: UInt32.self)
            target.storeBytes(of: last, toByteOffset: length &- 4, as: UInt32.self)
            return true
        }
        if length >= 2 {
            let first = source.loadUnaligned(as: UInt16.self)
            let last = source.loadUnaligned(fromByteOffset: length &- 2, as: UInt16.self)
            let word = UInt64(first) | UInt64(last) &<< 16 | 0x2020_2020_0000_0000
            if WordSearch.needsAttention(word) != 0 { return false }
            target.storeBytes(of: first, as: UInt16.self)
            target.storeBytes(of: last, toByteOffset: length &- 2, as: UInt16.self)
            return true
        }
        guard length == 1 else { return true }
        output[0] = bytes[0]
        return bytes[0] >= 0x20 && bytes[0] != UInt8(ascii: "\"") && bytes[0] != UInt8(ascii: "\\")
    }

    @inline(never)
    @usableFromInline
    mutating func escapedContents(_ bytes: UnsafeBufferPointer<UInt8>) {
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""): write("\\\"")
            case UInt8(ascii: "\\"): write("\\\\")
            case 0x0A: write("\\n")
            case 0x0D: write("\\r")
            case 0x09: write("\\t")
            case 0..<0x20:
                write("\\u00")
                write(byte >> 4 + UInt8(ascii: "0"))
                let low = byte & 0xF
                write(low < 10 ? low + UInt8(ascii: "0") : low - 10 + UInt8(ascii: "a"))
            default: write(byte)
            }
        }
    }
}

extension JSONWriter {
    /// Writes an integer.
    @inlinable
    @inline(__always)
    package mutating func integer(_ value: Int64) {
        if value < 0 { write(UInt8(ascii: "-")) }
        unsigned(value.magnitude)
    }

    /// Writes an integer.
    @usableFromInline
    package mutating func unsigned(_ value: UInt64) {
        if value < 10 { return write(UInt8(truncatingIfNeeded: value) &+ UInt8(ascii: "0")) }
        let length = Self.digitCount(value)
        if length <= capacity &- count, let base {
            var rest = value
            var position = count &+ length
            while rest >= 100 {
                position &-= 2
                let quotient = rest / 100
                DigitPairs.write(Int(truncatingIfNeeded: rest &- quotient &* 100), to: base + position)
                rest = quotient
            }
            if rest >= 10 {
                DigitPairs.write(Int(truncatingIfNeeded: rest), to: base + (position &- 2))
            } else {
                base[position &- 1] = UInt8(truncatingIfNeeded: rest) &+ UInt8(ascii: "0")
            }
        }
        advance(length)
    }

    @inline(__always)
    private static func digitCount(_ value: UInt64) -> Int {
        var length = 1
        var rest = value
        while rest >= 10_000 {
            rest /= 10_000
            length &+= 4
        }
        return rest < 10 ? length : rest < 100 ? length &+ 1 : rest < 1000 ? length &+ 2 : length &+ 3
    }

    /// Writes a number as Go's encoding/json does: the shortest digits that read back as the same value, an exponent
    /// only below 1e-6 and from 1e21 on, no `.0`.
    package mutating func double(_ value: Double) {
        guard value.isFinite else { return report(.notFinite) }
        let magnitude = value.magnitude
        // Most numbers have few decimals. The first scale at which an integer reads back gives the shortest digits.
        if magnitude < 1e15, magnitude >= 1e-3 || magnitude == 0 {
            var scale = 1.0
            for decimals in 0...5 {
                let product = magnitude * scale
                if product >= 1e15 { break }
                let scaled = Double(Int64(product + 0.5))
                if scaled / scale == magnitude {
                    if value.sign == .minus { write(UInt8(ascii: "-")) }
                    return decimal(UInt64(scaled), decimals: decimals, scale: UInt64(scale))
                }
                scale *= 10
            }
        }
        anyDouble(value)
    }

    @inline(__always)
    private mutating func decimal(_ scaled: UInt64, decimals: Int, scale: UInt64) {
        guard decimals > 0 else { return unsigned(scaled) }
        let (whole, fraction) = scaled.quotientAndRemainder(dividingBy: scale)
        unsigned(whole)
        write(UInt8(ascii: "."))
        if decimals <= capacity &- count, let base {
            var rest = fraction
            var position = count &+ decimals
            while position > count {
                position &-= 1
                let quotient = rest / 10
                base[position] = UInt8(truncatingIfNeeded: rest &- quotient &* 10) &+ UInt8(ascii: "0")
                rest = quotient
            }
        }
        advance(decimals)
    }

    /// Writes the standard library's shortest digits (`1.25e-07`, `12.5`) in Go's layout.
    @inline(never)
    private mutating func anyDouble(_ value: Double) {
        // At most 17 digits; `point` is where the decimal point stands relative to the first digit.
        var digits: [UInt8] = []
        digits.reserveCapacity(20)
        var point = 0
        var exponent = 0
        var sawPoint = false
        var text = value.magnitude.description.utf8.makeIterator()
        scan: while let byte = text.next() {
            switch byte {
            case UInt8(ascii: "."): sawPoint = true
            case UInt8(ascii: "e"):
                var negative = false
                while let byte = text.next() {
                    if byte == UInt8(ascii: "-") { negative = true }
                    if byte &- UInt8(ascii: "0") <= 9 { exponent = exponent * 10 + Int(byte - UInt8(ascii: "0")) }
                }
                if negative { exponent = -exponent }
                break scan
            default:
                if !sawPoint { point += 1 }
                if digits.isEmpty, byte == UInt8(ascii: "0") {
                    point -= 1
                    continue
                }
                digits.append(byte)
            }
        }
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        point += exponent
        if value.sign == .minus { write(UInt8(ascii: "-")) }
        lay(digits, point: point, exponential: value.magnitude < 1e-6 || value.magnitude >= 1e21)
    }

    private mutating func lay(_ digits: [UInt8], point: Int, exponential: Bool) {
        let zero = UInt8(ascii: "0")
        guard let first = digits.first else { return write(zero) }
        if exponential {
            write(first)
            if digits.count > 1 { write(UInt8(ascii: ".")) }
            for digit in digits.dropFirst() { write(digit) }
            write(UInt8(ascii: "e"))
            write(point > 0 ? UInt8(ascii: "+") : UInt8(ascii: "-"))
            unsigned(UInt64((point - 1).magnitude))
        } else if point <= 0 {
            write("0.")
            for _ in point..<0 { write(zero) }
            for digit in digits { write(digit) }
        } else {
            for index in 0..<max(point, digits.count) {
                if index == point { write(UInt8(ascii: ".")) }
                write(index < digits.count ? digits[index] : zero)
            }
        }
    }
}

extension JSONWriter {
    /// The text that `body` writes; `body` may be called again with a larger buffer.
    @inlinable
    package static func text(_ body: (inout JSONWriter) -> Void) -> String {
        var capacity = 1024
        while true {
            let text = withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 8) { buffer -> String? in
                var writer = JSONWriter(buffer)
                body(&writer)
                guard writer.fits else {
                    capacity = writer.count
                    return nil
                }
                return String(decoding: UnsafeRawBufferPointer(rebasing: buffer[..<writer.count]), as: UTF8.self)
            }
            if let text { return text }
        }
    }
}

/// The decimal digits of 0 to 99, two at a time.
@usableFromInline
package enum DigitPairs {
    @inlinable
    static var table: StaticString {
        """
        0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
        5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899
        """
    }

    /// Writes the two digits of a value from 0 to 99.
    @inlinable
    @inline(__always)
    package static func write(_ value: Int, to output: UnsafeMutablePointer<UInt8>) {
        let digits = UnsafeRawPointer(table.utf8Start + value &* 2).loadUnaligned(as: UInt16.self)
        UnsafeMutableRawPointer(output).storeBytes(of: digits, as: UInt16.self)
    }
}
