#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Splits bytes into lines, in memory that one endless line does not use up.
package struct LineSplitter: Sendable {
    private let limit: Int
    private var partial: [UInt8] = []
    private var cut = 0

    /// - Parameter limit: The longest line, in bytes.
    package init(limit: Int) {
        self.limit = limit
    }

    /// Takes bytes and calls `line` with each line that they complete, and with how much of it was cut.
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

    /// Calls `line` with what came after the last line, when there is something.
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
