import MeshEvents

/// Events as lines of JSON: the wire form, for programs.
struct EventJSON {
    /// Whether scalars that could harm a terminal are written as escapes; the value stays the same.
    let isForTerminal: Bool
    /// Whether the member `signature` says what the event's signature says: `signed`, `unsigned` or `forged`.
    let marks: Bool
    private let encoder = EventEncoder()

    init(isForTerminal: Bool = false, marks: Bool = false) {
        self.isForTerminal = isForTerminal
        self.marks = marks
    }

    /// Exactly what travels on the wire; with ``marks`` the member `signature` behind the others.
    func line(_ event: Event) throws -> String {
        var text = String(decoding: try encoder.encode(event), as: UTF8.self)
        if marks { text = text.dropLast() + #","signature":"\#(SignatureMark.word(event.signature))"}"# }
        return isForTerminal ? SafeText.escaped(text) : text
    }

    /// The wire form with the members `sequence` and `stored` behind the others.
    func line(_ stored: StoredEvent) throws -> String {
        let event = try line(stored.event)
        return event.dropLast() + #","sequence":\#(stored.sequence),"stored":"\#(stored.storedAt)"}"#
    }
}
