import MeshEvents

/// Events as JSON for the page.
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
        let (event, dataBytes) = short(stored.event)
        let place = StoredEvent(event: event, sequence: stored.sequence, storedAt: stored.storedAt)
        return adding(dataBytes, to: try whole(place))
    }

    /// The same with all of its data.
    static func whole(_ stored: StoredEvent) throws(MeshEventsError) -> [UInt8] {
        adding(signature(of: stored.event), to: try encoder.encode(stored))
    }

    /// An event that is not kept, bounded like ``summary(_:)``: `live` is its number among those that have come,
    /// `received` when it came, by this machine's clock.
    ///
    /// - Throws: what an event that has come never causes.
    static func live(_ event: Event, number: UInt64, received: Timestamp) throws(MeshEventsError) -> [UInt8] {
        let (event, dataBytes) = short(event)
        let place = #","live":\#(number),"received":"\#(received)""#
        return adding(place + signature(of: event) + dataBytes, to: try encoder.encode(event))
    }

    /// The event with no more than a list shows, and what says so.
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

    /// Members behind those of an object.
    private static func adding(_ members: String, to object: [UInt8]) -> [UInt8] {
        guard !members.isEmpty else { return object }
        return object.dropLast() + members.utf8 + [UInt8(ascii: "}")]
    }

    /// A text of which no more than ``nameLimit`` bytes are shown.
    static func cut(_ text: String) -> String {
        guard text.utf8.count > nameLimit else { return text }
        return String(decoding: text.utf8.prefix(nameLimit), as: UTF8.self) + "…"
    }
}
