import MeshEvents

/// The last lines of what a tool writes beyond the allowance of its log: how a flood ends often says why the tool does.
struct HeldLines: Sendable {
    /// The most lines, and the most bytes in them.
    private static let limit = (lines: 256, bytes: 64 << 10)

    private var lines: [(time: Timestamp, entry: LogEntry)] = []
    /// Where the oldest one is; those before it have made room.
    private var first = 0
    private var bytes = 0

    var isEmpty: Bool { lines.isEmpty }

    /// Takes a line; returns how many older ones have made room for it.
    mutating func append(_ entry: LogEntry, at time: Timestamp) -> UInt64 {
        lines.append((time, entry))
        bytes += entry.line.utf8.count
        var dropped: UInt64 = 0
        while lines.count - first > Self.limit.lines || (bytes > Self.limit.bytes && lines.count - first > 1) {
            bytes -= lines[first].entry.line.utf8.count
            first += 1
            dropped += 1
        }
        // Seldom, because it moves the others.
        if first >= Self.limit.lines {
            lines.removeFirst(first)
            first = 0
        }
        return dropped
    }

    /// All of them, oldest first; none are held afterwards.
    mutating func take() -> ArraySlice<(time: Timestamp, entry: LogEntry)> {
        guard !lines.isEmpty else { return [] }
        defer { self = HeldLines() }
        return lines[first...]
    }
}
