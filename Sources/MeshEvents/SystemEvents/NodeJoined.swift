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
