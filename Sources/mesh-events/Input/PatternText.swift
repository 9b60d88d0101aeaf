import MeshEvents

/// Parses patterns and types of arguments; the prefix `events.` is optional.
enum PatternText {
    /// The pattern of an argument; without one, every event.
    static func pattern(_ text: String?) throws -> EventPattern {
        guard let text else { return .all }
        do throws(MeshEventsError) {
            return try EventPattern(typed: text)
        } catch {
            throw CommandFailure(.usage, error.message)
        }
    }

    /// The patterns of arguments; without one, every event.
    static func patterns(_ texts: [String]) throws -> [EventPattern] {
        texts.isEmpty ? [.all] : try texts.map { try pattern($0) }
    }

    /// The type of an argument.
    static func type(_ text: String) throws(MeshEventsError) -> EventType {
        try EventType(text.hasPrefix("events.") ? String(text.dropFirst("events.".count)) : text)
    }
}
