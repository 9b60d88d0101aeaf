import MeshEvents

/// Writes events as lines of JSON in the wire format, for programs.
struct EventJSON {
    /// Whether scalars that could harm a terminal are written as escapes; the value stays the same.
    let isForTerminal: Bool
    /// Whether lines have the member `signature`, the result of the check: `signed`, `unsigned` or `forged`.
    let marks: Bool
    private let encoder = EventEncoder()

    init(isForTerminal: Bool = false, marks: Bool = false) {
        self.isForTerminal = isForTerminal
        self.marks = marks
    }

    /// The exact wire format; with ``marks`` followed by the member `signature`.
    func line(_ event: Event) throws -> String {
        var text = String(decoding: try encoder.encode(event), as: UTF8.self)
        if marks { text = text.dropLast() + #","signature":"\#(SignatureMark.word(event.signature))"}"# }
        return isForTerminal ? SafeText.escaped(text) : text
    }

    /// The wire format, followed by the members `sequence` and `stored`.
    func line(_ stored: StoredEvent) throws -> String {
        let event = try line(stored.event)
        return event.dropLast() + #","sequence":\#(stored.sequence),"stored":"\#(stored.storedAt)"}"#
    }
}
