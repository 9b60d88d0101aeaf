/// No event has arrived from a node for several of its health intervals. Another node announces it.
public struct NodeUnreachable: EventPayload, Hashable {
    /// `node.unreachable`.
    public static var eventType: EventType { .nodeUnreachable }

    /// The name of the node that is unreachable.
    public var node: String
    /// When its last event arrived; ``Timestamp/epoch`` when that is not known.
    public var lastSeen: Timestamp
    /// How many of its health intervals have passed since then.
    public var missed: Int
    /// The names of the tools that ran there.
    public var tools: [String]

    /// Creates the payload.
    public init(node: String, lastSeen: Timestamp, missed: Int, tools: [String]) {
        self.node = node
        self.lastSeen = lastSeen
        self.missed = missed
        self.tools = tools
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        node = try eventData.string("node")
        lastSeen = try eventData.time("last_seen") ?? .epoch
        missed = try eventData.integer("missed")
        tools = try eventData.strings("tools")
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("last_seen", lastSeen)
        data.write("missed", missed)
        data.write("node", node)
        data.write("tools", .array(tools.map { .string($0) }))
    }
}

extension NodeUnreachable: DescribedPayload {
    /// What has happened.
    public static var summary: String { "No event has arrived from a node for several of its health intervals." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            .lastSeen,
            PayloadField("missed", .integer, "How many of its health intervals have passed since then.", example: 3),
            .affectedNode,
            PayloadField("tools", .strings, "The names of the tools that ran there.", example: ["whisper"]),
        ]
    }
}

/// Events arrive again from a node that was announced as unreachable. Another node announces it.
public struct NodeRecovered: EventPayload, Hashable {
    /// `node.recovered`.
    public static var eventType: EventType { .nodeRecovered }

    /// The name of the node that has recovered.
    public var node: String
    /// When its last event before the gap arrived; ``Timestamp/epoch`` when that is not known.
    public var lastSeen: Timestamp
    /// How long no event had arrived from it, in seconds.
    public var awaySeconds: Double

    /// Creates the payload.
    public init(node: String, lastSeen: Timestamp, awaySeconds: Double) {
        self.node = node
        self.lastSeen = lastSeen
        self.awaySeconds = awaySeconds
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        node = try eventData.string("node")
        lastSeen = try eventData.time("last_seen") ?? .epoch
        awaySeconds = try eventData.number("away_s")
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("away_s", awaySeconds)
        data.write("last_seen", lastSeen)
        data.write("node", node)
    }
}

extension NodeRecovered: DescribedPayload {
    /// What has happened.
    public static var summary: String { "Events arrive again from a node that was announced as unreachable." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField("away_s", .number, "How long no event had arrived from it, in seconds.", example: 94.5),
            .lastSeen,
            .affectedNode,
        ]
    }
}

/// A node does not belong to the mesh any more: readers drop what they know of it. A person announces it.
public struct NodeForgotten: EventPayload, Hashable {
    /// `node.forgotten`.
    public static var eventType: EventType { .nodeForgotten }

    /// The name of the node to forget.
    public var node: String

    /// Creates the payload.
    public init(node: String) {
        self.node = node
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        node = try eventData.string("node")
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("node", node)
    }
}

extension NodeForgotten: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A node does not belong to the mesh any more." }

    /// The members of its data.
    public static var fields: [PayloadField] { [.affectedNode] }
}

/// A node is in maintenance for some time, or no longer: meanwhile it is not announced as unreachable. A person
/// announces it.
public struct NodeMaintenance: EventPayload, Hashable {
    /// `node.maintenance`.
    public static var eventType: EventType { .nodeMaintenance }

    /// The name of the node.
    public var node: String
    /// How long the maintenance lasts from the event on, in seconds; 0 ends it.
    public var forSeconds: Double
    /// Why; `nil` when no reason was given.
    public var reason: String?

    /// Creates the payload.
    public init(node: String, forSeconds: Double, reason: String? = nil) {
        self.node = node
        self.forSeconds = forSeconds
        self.reason = reason
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        node = try eventData.string("node")
        forSeconds = try eventData.number("for_s")
        reason = try eventData.optionalString("reason")
    }

    /// Writes the payload; ``reason`` only when there is one.
    public func write(to data: inout EventDataWriter) {
        data.write("for_s", forSeconds)
        data.write("node", node)
        if let reason { data.write("reason", reason) }
    }
}

extension NodeMaintenance: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A node is in maintenance for some time, or no longer." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField(
                "for_s",
                .number,
                "How long it lasts from the event on, in seconds; 0 ends it.",
                example: 7200.0
            ),
            .affectedNode,
            PayloadField(
                "reason",
                .string,
                "Why; missing when no reason was given.",
                example: "new disk",
                isOptional: true
            ),
        ]
    }
}

extension PayloadField {
    /// The node that the event is about, which is not the event's own.
    fileprivate static let affectedNode = PayloadField(
        Event.affectedNodeMember,
        .string,
        "The name of the node that this is about; the event's own node is the one that announces it.",
        example: "pi"
    )
    fileprivate static let lastSeen = PayloadField(
        "last_seen",
        .timestamp,
        "When its last event arrived, before there were none, RFC 3339.",
        example: "2026-11-24T09:04:04.01671002Z"
    )
}

extension EventType {
    /// Whether the mesh sends it of another node than the one that emits it.
    fileprivate var isNodeReport: Bool {
        switch self {
        case .nodeUnreachable, .nodeRecovered, .nodeForgotten, .nodeMaintenance: true
        default: false
        }
    }
}

extension Event {
    fileprivate static let affectedNodeMember = "node"

    /// The name of the node that the event is about: ``node``, except in events that one node emits about another.
    ///
    /// Those are `node.unreachable`, `node.recovered`, `node.forgotten` and `node.maintenance`, whose data names the
    /// node. Filters by node use this name.
    public var affectedNode: String {
        guard type.isNodeReport, let name = data[Self.affectedNodeMember]?.string, !name.isEmpty else { return node }
        return name
    }
}
