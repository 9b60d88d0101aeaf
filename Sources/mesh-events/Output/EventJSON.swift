import MeshEvents

/// Events as lines of JSON: the wire form, for programs.
struct EventJSON {
    /// Whether scalars that could harm a terminal are written as escapes; the value stays the same.
    let isForTerminal: Bool
    private let encoder = EventEncoder()

    init(isForTerminal: Bool = false) { self.isForTerminal = isForTerminal }

    /// Exactly what travels on the wire.
    func line(_ event: Event) throws -> String {
        let text = String(decoding: try encoder.encode(event), as: UTF8.self)
        return isForTerminal ? SafeText.escaped(text) : text
    }

    /// The wire form with the members `sequence` and `stored` behind the others.
    func line(_ stored: StoredEvent) throws -> String {
        let event = try line(stored.event)
        return event.dropLast() + #","sequence":\#(stored.sequence),"stored":"\#(stored.storedAt)"}"#
    }
}
