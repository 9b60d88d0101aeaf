import MeshLifecycle

/// Parses durations of options: `90s`, `10m`, `1h30m`, `2d`, `1.5h`, `500ms`.
enum DurationText {
    /// The duration of an option, above zero; `nil` when the option is missing.
    ///
    /// - Throws: `CommandFailure`, usage.
    static func option(_ name: String, _ text: String?) throws -> Duration? {
        try text.map { try option(name, $0) }
    }

    /// The duration of an option: above zero, or with `mayBeZero` also zero.
    ///
    /// - Throws: `CommandFailure`, usage.
    static func option(_ name: String, _ text: String, mayBeZero: Bool = false) throws -> Duration {
        guard let duration = parse(text), mayBeZero || duration > .zero else {
            throw CommandFailure(.usage, "\(name) is a time like 15s, 10m or 2h30m, not \(text.debugDescription)")
        }
        return duration
    }

    /// The duration, as in a manifest; `nil` when the text is none, or the duration is too long.
    static func parse(_ text: String) -> Duration? { ManifestDuration.parse(text) }
}
