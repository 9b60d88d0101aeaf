/// Converts JSON text: strings without their escapes, text without its white space.
package enum JSONText {
    /// The value of a hexadecimal digit.
    @inline(__always)
    static func hexadecimal(_ byte: UInt8) -> UInt16? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt16(byte &- UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt16(byte &- UInt8(ascii: "a") &+ 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt16(byte &- UInt8(ascii: "A") &+ 10)
        default: nil
        }
    }

    /// The string that `bytes` (a valid JSON string without its quotes) spells.
    ///
    /// A surrogate escape without its partner reads as U+FFFD, as Go's encoding/json reads it.
    package static func string(_ bytes: UnsafeBufferPointer<UInt8>, hasEscapes: Bool) -> String {
        guard hasEscapes else { return String(decoding: bytes, as: UTF8.self) }
        // No unescaped text is longer than its escape.
        return String(unsafeUninitializedCapacity: bytes.count) { unescape(bytes, into: $0) }
    }

    private static func unescape(
        _ bytes: UnsafeBufferPointer<UInt8>,
        into output: UnsafeMutableBufferPointer<UInt8>
    ) -> Int {
        var read = 0
        var written = 0
        while read < bytes.count {
            let byte = bytes[read]
            read += 1
            guard byte == UInt8(ascii: "\\"), read < bytes.count else {
                output[written] = byte
                written += 1
                continue
            }
            let kind = bytes[read]
            read += 1
            if kind == UInt8(ascii: "u") {
                for unit in scalar(bytes, &read).utf8 {
                    output[written] = unit
                    written += 1
                }
                continue
            }
            output[written] =
                switch kind {
                case UInt8(ascii: "b"): 0x08
                case UInt8(ascii: "f"): 0x0C
                case UInt8(ascii: "n"): 0x0A
                case UInt8(ascii: "r"): 0x0D
                case UInt8(ascii: "t"): 0x09
                default: kind
                }
            written += 1
        }
        return written
    }

    /// Reads the digits after `\u`, and the second half of a surrogate pair.
    private static func scalar(_ bytes: UnsafeBufferPointer<UInt8>, _ read: inout Int) -> Unicode.Scalar {
        let replacement: Unicode.Scalar = "\u{FFFD}"
        guard let first = unit(bytes, at: read) else { return replacement }
        read += 4
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard UTF16.isLeadSurrogate(first), read + 1 < bytes.count, bytes[read] == UInt8(ascii: "\\"),
            bytes[read + 1] == UInt8(ascii: "u"), let second = unit(bytes, at: read + 2),
            UTF16.isTrailSurrogate(second)
        else { return replacement }
        read += 6
        return Unicode.Scalar(0x10000 + (UInt32(first) & 0x3FF) << 10 + UInt32(second) & 0x3FF) ?? replacement
    }

    private static func unit(_ bytes: UnsafeBufferPointer<UInt8>, at offset: Int) -> UInt16? {
        guard offset + 4 <= bytes.count else { return nil }
        var unit: UInt16 = 0
        for index in offset..<offset + 4 {
            guard let digit = hexadecimal(bytes[index]) else { return nil }
            unit = unit << 4 | digit
        }
        return unit
    }

    /// Valid JSON text without the white space between its tokens; all else is kept.
    package static func compact(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
        String(unsafeUninitializedCapacity: bytes.count) { output in
            var written = 0
            var inString = false
            var read = 0
            while read < bytes.count {
                let byte = bytes[read]
                read += 1
                if inString {
                    if byte == UInt8(ascii: "\\"), read < bytes.count {
                        output[written] = byte
                        output[written + 1] = bytes[read]
                        written += 2
                        read += 1
                        continue
                    }
                    if byte == UInt8(ascii: "\"") { inString = false }
                } else if byte <= 0x20 {
                    continue
                } else if byte == UInt8(ascii: "\"") {
                    inString = true
                }
                output[written] = byte
                written += 1
            }
            return written
        }
    }
}

extension String {
    /// The string's UTF-8 bytes, in place.
    @inlinable
    @inline(__always)
    package func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        if let result = utf8.withContiguousStorageIfAvailable(body) { return result }
        var copy = self
        return copy.withUTF8(body)
    }

    /// Whether both have the same bytes; `==` would also equate canonically equivalent ones.
    @inlinable
    @inline(__always)
    package func hasSameBytes(as other: String) -> Bool {
        withBytes { left in other.withBytes { right in left.hasSameBytes(as: right) } }
    }

    /// Byte order, as Go orders strings.
    @inlinable
    @inline(__always)
    package func precedesInByteOrder(_ other: String) -> Bool {
        withBytes { left in
            other.withBytes { right in
                let count = Swift.min(left.count, right.count)
                var index = 0
                while index < count {
                    if left[index] != right[index] { return left[index] < right[index] }
                    index &+= 1
                }
                return left.count < right.count
            }
        }
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// Whether both have the same bytes.
    @inlinable
    @inline(__always)
    package func hasSameBytes(as other: UnsafeBufferPointer<UInt8>) -> Bool {
        guard count == other.count, let left = baseAddress, let right = other.baseAddress else {
            return count == other.count
        }
        var offset = 0
        while count &- offset >= 8 {
            let one = UnsafeRawPointer(left + offset).loadUnaligned(as: UInt64.self)
            let two = UnsafeRawPointer(right + offset).loadUnaligned(as: UInt64.self)
            if one != two { return false }
            offset &+= 8
        }
        while offset < count {
            if left[offset] != right[offset] { return false }
            offset &+= 1
        }
        return true
    }
}
