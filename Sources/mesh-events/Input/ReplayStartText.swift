import MeshEvents

/// Parses the start of a replay (`--from`).
enum ReplayStartText {
    /// The start.
    ///
    /// - Throws: `CommandFailure`, usage.
    static func parse(_ text: String, now: Timestamp = .now) throws -> ReplayStart {
        switch text {
        case "beginning": return .beginning
        case "new": return .new
        default: break
        }
        if !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) {
            guard let sequence = UInt64(text) else {
                throw CommandFailure(.usage, "--from \(text) is not a sequence: it has more than 64 bits")
            }
            return .sequence(sequence)
        }
        if let ago = DurationText.parse(text) { return .time(now.subtracting(ago)) }
        if let time = try? Timestamp(rfc3339: text) { return .time(time) }
        throw CommandFailure(
            .usage,
            "--from is beginning, new, a sequence (17), how long ago (90s, 10m, 1d) or a time in RFC 3339 "
                + "(2026-11-24T09:04:34Z), not \(text.debugDescription)"
        )
    }
}
