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
    public func write(to data: inout EventDataWriter) {
        data.write("reason", reason)
    }
}

extension NodeLeft: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A node left the mesh." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField("reason", .string, "Why, e.g. shutdown.", example: "shutdown")
        ]
    }
}
