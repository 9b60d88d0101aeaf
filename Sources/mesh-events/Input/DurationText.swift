import MeshLifecycle

/// Durations as people type them: `90s`, `10m`, `1h30m`, `2d`, `1.5h`, `500ms`.
enum DurationText {
    /// What an option says; `nil` when it is not there.
    ///
    /// - Throws: `CommandFailure`, usage.
    static func option(_ name: String, _ text: String?) throws -> Duration? {
        try text.map { try option(name, $0) }
    }

    /// What an option says: a time above zero, or zero as well.
    ///
    /// - Throws: `CommandFailure`, usage.
    static func option(_ name: String, _ text: String, mayBeZero: Bool = false) throws -> Duration {
        guard let duration = parse(text), mayBeZero || duration > .zero else {
            throw CommandFailure(.usage, "\(name) is a time like 15s, 10m or 2h30m, not \(text.debugDescription)")
        }
        return duration
    }

    /// The duration; `nil` when the text is none, or it is too long. As in a manifest.
    static func parse(_ text: String) -> Duration? { ManifestDuration.parse(text) }
}
