/// A header block as received: `NATS/1.0[ status[ description]]`, then one line for each field, then an empty line (NATS
/// ADR-4).
///
/// Peers may write anything into it, so reading is lenient: a line that is not a field is skipped, bytes outside UTF-8
/// are replaced, and no content traps or ends a connection.
package struct HeaderBlock {
    /// The most fields that are read: a field takes more memory than it has bytes.
    package static let maximumFields = 4_096

    /// The block.
    package let bytes: UnsafeRawBufferPointer

    package init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The first line, without its end.
    package var firstLine: UnsafeRawBufferPointer {
        let end = bytes.firstIndex { $0 == 0x0D || $0 == 0x0A } ?? bytes.count
        return UnsafeRawBufferPointer(rebasing: bytes[..<end])
    }

    /// Calls `body` for each field, in order, up to ``maximumFields``.
    ///
    /// - Parameter leavesOutReserved: whether to leave out fields `Nats-…`. Those are not copied: most stored messages
    ///   have no others.
    package func forEachField(leavesOutReserved: Bool = false, _ body: (_ name: String, _ value: String) -> Void) {
        var count = 0
        var start = end(ofLineAt: 0)
        while start < bytes.count, count < Self.maximumFields {
            let next = end(ofLineAt: start)
            defer { start = next }
            if leavesOutReserved, isReserved(at: start) { continue }
            let line = bytes[start..<next]
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > start else { continue }
            body(
                String(decoding: line[..<colon], as: UTF8.self),
                String(decoding: Self.trim(line[(colon + 1)...]), as: UTF8.self)
            )
            count += 1
        }
    }

    private static func trim(_ value: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A }
        var value = value.drop(while: isSpace)
        while let last = value.last, isSpace(last) { value.removeLast() }
        return value
    }

    /// Where the line after this one begins.
    private func end(ofLineAt start: Int) -> Int {
        var index = start
        while index + 8 <= bytes.count {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            let found = Self.lineFeed(word)
            if found != 0 { return index + found.trailingZeroBitCount / 8 + 1 }
            index += 8
        }
        while index < bytes.count {
            if bytes[index] == 0x0A { return index + 1 }
            index += 1
        }
        return index
    }

    /// The high bit of the first byte that is a line feed; bits above it mean nothing.
    private static func lineFeed(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let other = word ^ (ones &* 0x0A)
        return (other &- ones) & ~other & (ones &* 0x80)
    }

    private func isReserved(at start: Int) -> Bool {
        guard bytes.count - start >= 5 else { return false }
        return bytes[start] == UInt8(ascii: "N") && bytes[start + 1] == UInt8(ascii: "a")
            && bytes[start + 2] == UInt8(ascii: "t") && bytes[start + 3] == UInt8(ascii: "s")
            && bytes[start + 4] == UInt8(ascii: "-")
    }
}
