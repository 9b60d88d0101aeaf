#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Splits bytes into lines, in bounded memory even for an endless line.
package struct LineSplitter: Sendable {
    private let limit: Int
    private var partial: [UInt8] = []
    private var cut = 0

    /// Creates a splitter.
    ///
    /// - Parameter limit: The longest line, in bytes; the rest of a longer one is cut.
    package init(limit: Int) {
        self.limit = limit
    }

    /// Takes bytes and calls `line` with each completed line, and with the number of bytes cut from it.
    package mutating func append(
        _ bytes: UnsafeRawBufferPointer,
        _ line: (UnsafeRawBufferPointer, _ cut: Int) -> Void
    ) {
        guard let base = bytes.baseAddress else { return }
        var start = 0
        while start < bytes.count {
            let length = bytes.count - start
            let end = memchr(base + start, 10, length).map { UnsafeRawPointer($0) - base }
            let piece = UnsafeRawBufferPointer(start: base + start, count: (end ?? bytes.count) - start)
            if end != nil, partial.isEmpty, piece.count <= limit {
                line(Self.withoutReturn(piece), 0)
            } else {
                keep(piece)
                if end != nil { flush(line) }
            }
            start += piece.count + 1
        }
    }

    /// Calls `line` with the rest after the last line break, if there is any.
    package mutating func finish(_ line: (UnsafeRawBufferPointer, _ cut: Int) -> Void) {
        if !partial.isEmpty { flush(line) }
    }

    private mutating func keep(_ piece: UnsafeRawBufferPointer) {
        let room = min(piece.count, limit - partial.count)
        partial.append(contentsOf: piece.prefix(room))
        cut += piece.count - room
    }

    private mutating func flush(_ line: (UnsafeRawBufferPointer, _ cut: Int) -> Void) {
        partial.withUnsafeBytes { line(Self.withoutReturn($0), cut) }
        partial.removeAll(keepingCapacity: true)
        cut = 0
    }

    private static func withoutReturn(_ line: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        line.last == 13 ? UnsafeRawBufferPointer(rebasing: line.dropLast()) : line
    }
}
