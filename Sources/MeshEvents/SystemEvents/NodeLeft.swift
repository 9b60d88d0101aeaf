/// A node left the mesh.
public struct NodeLeft: EventPayload, Hashable {
    /// `node.left`.
    public static var eventType: EventType { .nodeLeft }

    /// Why, e.g. `shutdown`.
    public var reason: String

    /// Creates the payload.
    public init(reason: String) {
        self.reason = reason
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        reason = try eventData.string("reason")
    }

    /// Writes the payload.
    ///
    /// - Throws: `invalidData` when a member holds data that JSON cannot express.
    public func eventData() throws(MeshEventsError) -> EventData {
        let data = data
        try data.validate()
        return data
    }

    /// The payload as data; invalid when a member's is.
    var data: EventData {
        EventData { writer in
            writer.open(UInt8(ascii: "{"))
            writer.write("\"reason\":")
            writer.string(reason)
            writer.close(UInt8(ascii: "}"))
        }
    }
}
