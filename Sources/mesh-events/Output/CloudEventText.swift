import MeshEvents
import MeshEventsInterop

/// Writes events as lines of CloudEvents 1.0, structured mode.
struct CloudEventText {
    /// Whether scalars that could harm a terminal are written as escapes; the value stays the same.
    var isForTerminal = false
    /// Whether lines have the attribute `signature`, the result of the check: `signed`, `unsigned` or `forged`.
    var marks = false

    /// One event.
    func line(_ event: Event) throws -> String { try line(CloudEvent(event), event.signature) }

    /// One event of the stream.
    func line(_ stored: StoredEvent) throws -> String { try line(CloudEvent(stored), stored.event.signature) }

    private func line(_ cloudEvent: CloudEvent, _ signature: EventSignature) throws -> String {
        var cloudEvent = cloudEvent
        if marks {
            let mark = ("signature", JSONValue.string(SignatureMark.word(signature)))
            cloudEvent.extensions = JSONObject(cloudEvent.extensions.map { ($0.key, $0.value) } + [mark])
        }
        let text = try cloudEvent.json()
        return isForTerminal ? SafeText.escaped(text) : text
    }
}
