import MeshEvents

/// Parses a point in time of an option: how long ago (`10m`), or RFC 3339.
enum TimeBound {
    /// The time.
    ///
    /// - Throws: `CommandFailure`, usage, naming the option.
    static func parse(_ text: String, option: String, now: Timestamp = .now) throws -> Timestamp {
        if let ago = DurationText.parse(text) { return now.subtracting(ago) }
        do throws(MeshEventsError) {
            return try Timestamp(rfc3339: text)
        } catch {
            throw CommandFailure(
                .usage,
                "\(option) is how long ago (90s, 10m, 2h30m, 1d) or a time in RFC 3339 "
                    + "(2026-11-24T09:04:34Z, 2026-11-24T10:04:34+01:00), not \(text.debugDescription)"
            )
        }
    }
}
