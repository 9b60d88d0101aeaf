/// A node reports its health.
public struct NodeHealth: EventPayload, Hashable {
    /// `node.health`.
    public static var eventType: EventType { .nodeHealth }

    /// The node's state, e.g. `online`.
    public var status: String
    /// The resources it uses and has: an object, or null.
    public var resources: EventData

    /// Creates the payload.
    public init(status: String, resources: EventData) {
        self.status = status
        self.resources = resources
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        status = try eventData.string("status")
        resources = try eventData.object("resources")
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("resources", resources)
        data.write("status", status)
    }
}

extension NodeHealth: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A node reports its health." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField(
                "status",
                .string,
                "The node's state: online, or degraded while one of its checks fails.",
                example: "online"
            ),
            PayloadField(
                "resources",
                .object,
                "The resources it uses and has, e.g. cpu (0 to 1), mem_used_mb, disk_free_mb.",
                example: ["cpu": 0.42, "mem_used_mb": 812]
            ),
        ]
    }
}
