import MeshEvents
import MeshEventsInterop

/// Parses a line of CloudEvents 1.0, structured mode.
enum CloudEventLine {
    /// The CloudEvent.
    ///
    /// - Throws: `MeshEventsError`; its message says what is wrong with the line.
    static func parse(_ bytes: some Collection<UInt8>) throws(MeshEventsError) -> CloudEvent {
        if bytes.first(where: { $0 != 0x20 && $0 != 0x09 }) == UInt8(ascii: "[") {
            throw MeshEventsError(.invalidData, "it is a batch; give one CloudEvent a line, e.g. by `jq -c '.[]'`")
        }
        return try CloudEvent(json: bytes)
    }
}
