/// A tool was started.
public struct ToolStarted: EventPayload, Hashable {
    /// `tool.started`.
    public static var eventType: EventType { .toolStarted }

    /// The tool's name.
    public var tool: String

    /// Creates the payload.
    public init(tool: String) {
        self.tool = tool
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        tool = try eventData.string("tool")
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("tool", tool)
    }
}

extension ToolStarted: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A tool was started." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField("tool", .string, "The tool's name.", example: "whisper")
        ]
    }
}
