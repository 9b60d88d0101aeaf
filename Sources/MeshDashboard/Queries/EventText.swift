import MeshEvents

/// Stored events as JSON for the page.
enum EventText {
    /// Data beyond this many bytes is left out of lists and of the stream; `/api/events/{sequence}` has it.
    static let dataLimit = 16_384
    /// A node's name, or a reason, that is longer is cut there, in bytes.
    static let nameLimit = 1_024

    private static let encoder = EventEncoder()

    /// The event with its place in the stream, and what its signature says when it was looked at. `data` is null and
    /// `data_bytes` says how long it is when that is too much for a list; a node's name that is too long ends with `…`.
    /// Bounded, whatever the event is.
    ///
    /// - Throws: what a stored event never causes.
    static func summary(_ stored: StoredEvent) throws(MeshEventsError) -> [UInt8] {
        let size = stored.event.data.json.utf8.count
        let isLong = size > dataLimit
        guard isLong || stored.event.node.utf8.count > nameLimit else { return try whole(stored) }
        var event = stored.event
        event.node = cut(event.node)
        if isLong { event.data = nil }
        var bytes = try whole(StoredEvent(event: event, sequence: stored.sequence, storedAt: stored.storedAt))
        guard isLong else { return bytes }
        bytes.removeLast()
        return bytes + #","data_bytes":\#(size)}"#.utf8
    }

    /// The same with all of its data.
    static func whole(_ stored: StoredEvent) throws(MeshEventsError) -> [UInt8] {
        var bytes = try encoder.encode(stored)
        let members: String
        switch stored.event.signature {
        case .unchecked: return bytes
        case .unsigned: members = #","signature":"unsigned"}"#
        case .signed: members = #","signature":"signed"}"#
        case .forged(let reason):
            members = #","signature":"forged","signature_reason":\#(JSONValue.string(cut(reason)))}"#
        }
        bytes.removeLast()
        return bytes + members.utf8
    }

    /// A text of which no more than ``nameLimit`` bytes are shown.
    static func cut(_ text: String) -> String {
        guard text.utf8.count > nameLimit else { return text }
        return String(decoding: text.utf8.prefix(nameLimit), as: UTF8.self) + "…"
    }
}
