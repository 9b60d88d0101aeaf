/// A tool's configuration was changed.
public struct ToolConfigured: EventPayload, Hashable {
    /// `tool.configured`.
    public static var eventType: EventType { .toolConfigured }

    /// The tool's name.
    public var tool: String
    /// The new configuration: an object, or null. Secrets do not belong here: every subscriber sees them.
    public var config: EventData

    /// Creates the payload.
    public init(tool: String, config: EventData) {
        self.tool = tool
        self.config = config
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        tool = try eventData.string("tool")
        config = try eventData.object("config")
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("config", config)
        data.write("tool", tool)
    }
}

extension ToolConfigured: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A tool's configuration was changed." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField("config", .object, "The new configuration, without secrets.", example: ["model": "base"]),
            PayloadField("tool", .string, "The tool's name.", example: "whisper"),
        ]
    }
}
