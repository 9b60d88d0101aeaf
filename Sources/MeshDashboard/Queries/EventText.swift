import MeshEvents

/// Stored events as JSON for the page.
enum EventText {
    /// Data beyond this many bytes is left out of lists and of the stream; `/api/events/{sequence}` has it.
    static let dataLimit = 16_384

    private static let encoder = EventEncoder()

    /// The event with its place in the stream, and what its signature says when somebody has looked. `data` is null and
    /// `data_bytes` says how long it is when that is too much for a list.
    ///
    /// - Throws: what a stored event never causes.
    static func summary(_ stored: StoredEvent) throws(MeshEventsError) -> [UInt8] {
        let size = stored.event.data.json.utf8.count
        guard size > dataLimit else { return try whole(stored) }
        var event = stored.event
        event.data = nil
        var bytes = try whole(StoredEvent(event: event, sequence: stored.sequence, storedAt: stored.storedAt))
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
        case .forged(let reason): members = #","signature":"forged","signature_reason":\#(JSONValue.string(reason))}"#
        }
        bytes.removeLast()
        return bytes + members.utf8
    }

    /// A page: `events`, oldest first, and `cursor`.
    static func page(_ page: EventHistory.Page) throws(MeshEventsError) -> [UInt8] {
        var bytes = Array(#"{"events":["#.utf8)
        for (index, stored) in page.events.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes += try summary(stored)
        }
        let cursor = page.cursor.map(String.init) ?? "null"
        return bytes + #"],"cursor":\#(cursor),"malformed":\#(page.malformed)}"#.utf8
    }
}
