/// Something that happened in the mesh: its type, node, time and data.
///
/// ```swift
/// let event = Event("user.training.complete", data: ["epochs": 100, "loss": 0.023])
/// event.data["epochs"]?.int  // 100
/// ```
public struct Event: Sendable, Hashable {
    /// What happened, e.g. `tool.crashed`.
    public var type: EventType
    /// The name of the node it happened on; emitting replaces an empty name by the bus's own.
    public var node: String
    /// When it happened; ``Timestamp/epoch`` until the event is emitted: emitting sets it.
    public var timestamp: Timestamp
    /// The event's data: an object, or `null`.
    public var data: EventData
    /// The header fields and signature of the message it arrived in; `nil` for an event that was not received, or that
    /// had no header fields and was not verified.
    public internal(set) var origin: EventOrigin?

    /// Creates an event.
    public init(_ type: EventType, node: String = "", timestamp: Timestamp = .epoch, data: EventData = nil) {
        self.type = type
        self.node = node
        self.timestamp = timestamp
        self.data = data
    }

    /// Creates the event that carries a payload.
    ///
    /// - Throws: `invalidData` when the payload does not encode as an object.
    public init(_ payload: some EventPayload, node: String = "") throws(MeshEventsError) {
        self.init(Swift.type(of: payload).eventType, node: node, data: try payload.eventData())
    }

    /// What the signature says about the emitter; ``EventSignature/unchecked`` unless the event was received and its
    /// signature verified.
    public var signature: EventSignature { origin?.signature ?? .unchecked }

    /// Whether type, node, timestamp and data are equal; the origins do not matter.
    public static func == (one: Event, other: Event) -> Bool {
        one.type == other.type && one.node == other.node && one.timestamp == other.timestamp && one.data == other.data
    }

    /// Hashes type, node, timestamp and data.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(type)
        hasher.combine(node)
        hasher.combine(timestamp)
        hasher.combine(data)
    }

    /// The subject the event travels on, e.g. `events.tool.crashed`.
    public var subject: String { type.subject }

    /// Checks that the event can be sent.
    ///
    /// - Throws: `invalidEventType`, `invalidData`.
    public func validate() throws(MeshEventsError) {
        try type.validate()
        try data.validate()
    }

    /// Reads the data as a payload of the event's type.
    ///
    /// - Throws: `invalidEventType` when the payload belongs to another type, `invalidData` when the data does not fit.
    public func payload<Payload: EventPayload>(
        as payload: Payload.Type = Payload.self
    ) throws(MeshEventsError) -> Payload {
        guard type == payload.eventType else {
            let problem = "an event of type \(type) has no payload \(payload), which belongs to \(payload.eventType)"
            throw MeshEventsError(.invalidEventType, problem)
        }
        return try Payload(eventData: data)
    }
}

/// What a received event's message carried beside the event: its header fields and the result of the signature check.
///
/// The origin is no part of the event: comparing events ignores it, and emitting a received event again does not send
/// it.
public final class EventOrigin: Sendable {
    /// The message's header fields.
    public let headers: MessageHeaders
    /// The result of the signature check.
    public let signature: EventSignature

    /// Creates an origin.
    public init(headers: MessageHeaders, signature: EventSignature = .unchecked) {
        self.headers = headers
        self.signature = signature
    }
}
