import MeshEvents

/// Writes events as JSON for the page.
enum EventJSONFormatter {
    /// Data beyond this many bytes is left out of lists and of the stream; `/api/events/{sequence}` has it.
    static let dataLimit = 16_384
    /// The longest name of a node, or reason, in bytes; a longer one is cut.
    static let nameLimit = 1_024

    private static let encoder = EventEncoder()

    /// The event with its position in the stream, and the result of its signature check. When the data is too long for
    /// a list, `data` is null and `data_bytes` is its length; a node's name that is too long ends with `…`. The size is
    /// bounded for every event.
    ///
    /// - Throws: encoding errors, which do not occur for a stored event.
    static func summary(_ stored: StoredEvent) throws(MeshEventsError) -> [UInt8] {
        let (event, dataBytes) = short(stored.event)
        let place = StoredEvent(event: event, sequence: stored.sequence, storedAt: stored.storedAt)
        return adding(dataBytes, to: try whole(place))
    }

    /// The event with its position, its signature and all of its data.
    static func whole(_ stored: StoredEvent) throws(MeshEventsError) -> [UInt8] {
        adding(signature(of: stored.event), to: try encoder.encode(stored))
    }

    /// A live event that no stream keeps, bounded like ``summary(_:)``: `live` is its number among the received ones,
    /// `received` its time of arrival by this machine's clock.
    ///
    /// - Throws: encoding errors, which do not occur for a received event.
    static func live(_ event: Event, number: UInt64, received: Timestamp) throws(MeshEventsError) -> [UInt8] {
        let (event, dataBytes) = short(event)
        let place = #","live":\#(number),"received":"\#(received)""#
        return adding(place + signature(of: event) + dataBytes, to: try encoder.encode(event))
    }

    /// The event reduced to what a list shows, and the members that say what is missing.
    private static func short(_ event: Event) -> (event: Event, members: String) {
        let size = event.data.json.utf8.count
        guard size > dataLimit || event.node.utf8.count > nameLimit else { return (event, "") }
        var event = event
        event.node = cut(event.node)
        guard size > dataLimit else { return (event, "") }
        event.data = nil
        return (event, #","data_bytes":\#(size)"#)
    }

    private static func signature(of event: Event) -> String {
        switch event.signature {
        case .unchecked: ""
        case .unsigned: #","signature":"unsigned""#
        case .signed: #","signature":"signed""#
        case .forged(let reason): #","signature":"forged","signature_reason":\#(JSONValue.string(cut(reason)))"#
        }
    }

    /// The JSON object with further members appended.
    private static func adding(_ members: String, to object: [UInt8]) -> [UInt8] {
        guard !members.isEmpty else { return object }
        return object.dropLast() + members.utf8 + [UInt8(ascii: "}")]
    }

    /// The text, cut to ``nameLimit`` bytes and `…` when it is longer.
    static func cut(_ text: String) -> String {
        guard text.utf8.count > nameLimit else { return text }
        return text.prefix(bytes: nameLimit) + "…"
    }
}
