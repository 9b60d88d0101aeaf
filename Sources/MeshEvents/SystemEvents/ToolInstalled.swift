/// A tool was installed on a node.
public struct ToolInstalled: EventPayload, Hashable {
    /// `tool.installed`.
    public static var eventType: EventType { .toolInstalled }

    /// The tool's name.
    public var tool: String
    /// The version that was installed.
    public var version: String

    /// Creates the payload.
    public init(tool: String, version: String) {
        self.tool = tool
        self.version = version
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        tool = try eventData.string("tool")
        version = try eventData.string("version")
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("tool", tool)
        data.write("version", version)
    }
}

extension ToolInstalled: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A tool was installed on a node." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField("tool", .string, "The tool's name.", example: "whisper"),
            PayloadField("version", .string, "The version that was installed.", example: "v1.4.0"),
        ]
    }
}
