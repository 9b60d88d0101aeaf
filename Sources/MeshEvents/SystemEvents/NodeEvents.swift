/// A node joined the mesh, or came back.
public struct NodeJoined: EventPayload, Hashable {
    /// `node.joined`.
    public static var eventType: EventType { .nodeJoined }

    /// What the node can do: an object, e.g. `["tools": 3]`, or null.
    public var capabilities: EventData

    /// Creates the payload.
    public init(capabilities: EventData) {
        self.capabilities = capabilities
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        capabilities = try eventData.object("capabilities")
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("capabilities", capabilities)
    }
}

extension NodeJoined: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A node joined the mesh, or came back." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField(
                "capabilities",
                .object,
                "What the node can do and what it is, e.g. tools, os, arch, cpus, mem_mb, host, version.",
                example: ["os": "linux", "tools": 3]
            )
        ]
    }
}

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
