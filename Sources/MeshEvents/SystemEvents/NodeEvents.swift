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
    /// Its tools; `nil` when it supervises none. Those that were removed are not in the list.
    public var tools: [Tool]?
    /// How many tools are not in ``tools``, because the list would be too long.
    public var toolsOmitted: Int

    /// The most tools that a node lists.
    public static let maximumTools = 200

    /// Creates the payload.
    public init(status: String, resources: EventData, tools: [Tool]? = nil, toolsOmitted: Int = 0) {
        self.status = status
        self.resources = resources
        self.tools = tools
        self.toolsOmitted = toolsOmitted
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        status = try eventData.string("status")
        resources = try eventData.object("resources")
        toolsOmitted = try eventData.integer("tools_omitted")
        guard let elements = try eventData.objects("tools") else { return }
        var tools: [Tool] = []
        for element in elements { tools.append(try Tool(eventData: element)) }
        self.tools = tools
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("resources", resources)
        data.write("status", status)
        if let tools { data.write("tools", .array(tools.map(\.json))) }
        if toolsOmitted != 0 { data.write("tools_omitted", toolsOmitted) }
    }
}

extension NodeHealth {
    /// A tool as its node lists it.
    public struct Tool: Sendable, Hashable {
        /// The state of a tool.
        public typealias State = ToolState

        /// Its name.
        public var name: String
        /// The installed version.
        public var version: String
        /// Its state.
        public var state: State
        /// When the state or the process last changed; `nil` when that is not known.
        public var since: Timestamp?
        /// How often it was restarted since it was last started on request.
        public var restarts: Int
        /// The error of its last crash, without secrets; `nil` when there was none since it was last started on request.
        public var error: String?
        /// What its processes use; `nil` when it does not run, or that is not known.
        public var usage: ProcessUsage?
        /// `false` when it runs and has yet to show that it is ready; `nil` when nothing is said about that.
        public var isReady: Bool?
        /// `unhealthy` when it runs and does not work; `nil` otherwise.
        public var health: String?
        /// Why it is unhealthy.
        public var healthReason: String?
        /// Since when it is unhealthy.
        public var healthSince: Timestamp?
        /// What it says of itself.
        public var status: String?

        /// The value of ``health`` for a tool that runs and does not work.
        public static let unhealthy = "unhealthy"
        /// When it is started next, when it has a schedule.
        public var next: Timestamp?

        /// Creates an element of the list.
        public init(
            name: String,
            version: String,
            state: State,
            since: Timestamp? = nil,
            restarts: Int = 0,
            error: String? = nil,
            usage: ProcessUsage? = nil,
            isReady: Bool? = nil,
            health: String? = nil,
            healthReason: String? = nil,
            healthSince: Timestamp? = nil,
            status: String? = nil,
            next: Timestamp? = nil
        ) {
            self.name = name
            self.version = version
            self.state = state
            self.since = since
            self.restarts = restarts
            self.error = error
            self.usage = usage
            self.isReady = isReady
            self.health = health
            self.healthReason = healthReason
            self.healthSince = healthSince
            self.status = status
            self.next = next
        }

        fileprivate init(eventData: EventData) throws(MeshEventsError) {
            name = try eventData.string("name")
            version = try eventData.string("version")
            state = State(rawValue: try eventData.string("state"))
            since = try eventData.time("since")
            restarts = try eventData.integer("restarts")
            error = try eventData.optionalString("error")
            let usage = try eventData.object("usage")
            self.usage = usage.isNull ? nil : try ProcessUsage(eventData: usage)
            isReady = try eventData.optionalBoolean("ready")
            health = try eventData.optionalString("health")
            healthReason = try eventData.optionalString("health_reason")
            healthSince = try eventData.time("health_since")
            status = try eventData.optionalString("status")
            next = try eventData.time("next")
        }

        fileprivate var json: JSONValue {
            var members: [String: JSONValue] = [
                "name": .string(name), "version": .string(version), "state": .string(state.rawValue),
                "restarts": JSONValue(restarts),
            ]
            members["since"] = since.map { .string($0.description) }
            members["error"] = error.map { .string($0) }
            members["usage"] = usage?.json
            members["ready"] = isReady.map { .bool($0) }
            members["health"] = health.map { .string($0) }
            members["health_reason"] = healthReason.map { .string($0) }
            members["health_since"] = healthSince.map { .string($0.description) }
            members["status"] = status.map { .string($0) }
            members["next"] = next.map { .string($0.description) }
            return JSONValue(members)
        }
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
                "The resources it uses and has, e.g. cpu (0 to 1), mem_used_mb, disk_free_mb, gpus (an array of objects).",
                example: ["cpu": 0.42, "mem_used_mb": 812]
            ),
            PayloadField(
                "tools",
                .array,
                "The node's tools, at most 200; missing when it supervises none.",
                example: [
                    [
                        "error": "exited with code 3", "name": "whisper", "restarts": 1,
                        "since": "2026-11-24T09:04:34.01671002Z", "state": "running", "version": "1.4.0",
                    ]
                ],
                isOptional: true,
                elements: toolFields
            ),
            PayloadField(
                "tools_omitted",
                .integer,
                "How many tools are not in the list, when it would be too long: those in trouble are in it first.",
                example: 3,
                isOptional: true
            ),
        ]
    }

    private static var toolFields: [PayloadField] {
        [
            PayloadField("name", .string, "The tool's name.", example: "whisper"),
            PayloadField("version", .string, "The installed version.", example: "1.4.0"),
            PayloadField(
                "state",
                .string,
                "Its state: installed, starting, running, backing_off, failed (not started again) or stopped.",
                example: "running"
            ),
            PayloadField(
                "since",
                .timestamp,
                "When the state or the process last changed, RFC 3339.",
                example: "2026-11-24T09:04:34.01671002Z",
                isOptional: true
            ),
            PayloadField("restarts", .integer, "How often it was restarted since the start on request.", example: 1),
            PayloadField(
                "error",
                .string,
                "The error of its last crash, cut when it is long; missing when there was none.",
                example: "exited with code 3",
                isOptional: true
            ),
            .usage,
            PayloadField(
                "ready",
                .boolean,
                "False when it runs and has yet to show that it is ready; missing otherwise.",
                example: false,
                isOptional: true
            ),
            PayloadField(
                "health",
                .string,
                "\(Tool.unhealthy) when it runs and does not work; missing otherwise.",
                example: "unhealthy",
                isOptional: true
            ),
            PayloadField(
                "health_reason",
                .string,
                "Why it is unhealthy.",
                example: "no answer within 2s",
                isOptional: true
            ),
            PayloadField(
                "health_since",
                .timestamp,
                "Since when it is unhealthy, RFC 3339.",
                example: "2026-11-24T09:05:04.5Z",
                isOptional: true
            ),
            PayloadField(
                "status",
                .string,
                "What it says of itself; missing when it says nothing.",
                example: "model loaded",
                isOptional: true
            ),
            PayloadField(
                "next",
                .timestamp,
                "When it is started next, RFC 3339; missing when it has no schedule.",
                example: "2026-11-25T03:00:00Z",
                isOptional: true
            ),
        ]
    }
}
