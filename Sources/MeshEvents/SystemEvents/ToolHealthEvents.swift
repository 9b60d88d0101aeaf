/// A tool that was started has shown that it is ready.
public struct ToolReady: EventPayload, Hashable {
    /// `tool.ready`.
    public static var eventType: EventType { .toolReady }

    /// The tool's name.
    public var tool: String
    /// How long after its start, in seconds.
    public var afterSeconds: Double

    /// Creates the payload.
    public init(tool: String, afterSeconds: Double) {
        self.tool = tool
        self.afterSeconds = afterSeconds
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        tool = try eventData.string("tool")
        afterSeconds = try eventData.number("after_s")
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("after_s", afterSeconds)
        data.write("tool", tool)
    }
}

extension ToolReady: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A tool that was started has shown that it is ready." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField("after_s", .number, "How long after its start, in seconds.", example: 2.25),
            PayloadField("tool", .string, "The tool's name.", example: "whisper"),
        ]
    }
}

/// A tool runs, and does not work: its check fails, it is not ready in time, or it gives no sign of life.
public struct ToolUnhealthy: EventPayload, Hashable {
    /// `tool.unhealthy`.
    public static var eventType: EventType { .toolUnhealthy }

    /// The tool's name.
    public var tool: String
    /// What is wrong.
    public var reason: String
    /// How many checks in a row have failed.
    public var failures: Int
    /// Whether its node ends it now and starts it again, unless it has crashed too often.
    public var isRestarting: Bool

    /// Creates the payload.
    public init(tool: String, reason: String, failures: Int = 1, isRestarting: Bool) {
        self.tool = tool
        self.reason = reason
        self.failures = failures
        self.isRestarting = isRestarting
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        tool = try eventData.string("tool")
        reason = try eventData.string("reason")
        failures = try eventData.integer("failures")
        isRestarting = try eventData.boolean("restarting")
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("failures", failures)
        data.write("reason", reason)
        data.write("restarting", isRestarting)
        data.write("tool", tool)
    }
}

extension ToolUnhealthy: DescribedPayload {
    /// What has happened.
    public static var summary: String {
        "A tool runs and does not work: its check fails, it is not ready in time, or it gives no sign of life."
    }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField("failures", .integer, "How many checks in a row have failed.", example: 3),
            PayloadField("reason", .string, "What is wrong.", example: "no answer within 2s"),
            PayloadField(
                "restarting",
                .boolean,
                "Whether its node ends it now and starts it again, unless it has crashed too often.",
                example: true
            ),
            PayloadField("tool", .string, "The tool's name.", example: "whisper"),
        ]
    }
}

/// A tool that was unhealthy works again, in the same run or after a restart.
public struct ToolHealthy: EventPayload, Hashable {
    /// `tool.healthy`.
    public static var eventType: EventType { .toolHealthy }

    /// The tool's name.
    public var tool: String
    /// How long it was unhealthy, in seconds.
    public var unhealthySeconds: Double

    /// Creates the payload.
    public init(tool: String, unhealthySeconds: Double) {
        self.tool = tool
        self.unhealthySeconds = unhealthySeconds
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        tool = try eventData.string("tool")
        unhealthySeconds = try eventData.number("unhealthy_s")
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("tool", tool)
        data.write("unhealthy_s", unhealthySeconds)
    }
}

extension ToolHealthy: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A tool that was unhealthy works again, in the same run or after a restart." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField("tool", .string, "The tool's name.", example: "whisper"),
            PayloadField("unhealthy_s", .number, "How long it was unhealthy, in seconds.", example: 12.5),
        ]
    }
}
