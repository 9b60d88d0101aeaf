/// A tool ended by itself.
public struct ToolCrashed: EventPayload, Hashable {
    /// `tool.crashed`.
    public static var eventType: EventType { .toolCrashed }

    /// The tool's name.
    public var tool: String
    /// What went wrong.
    public var error: String
    /// The number of this crash since the tool was started on request, from 1. It counts the restart that may follow.
    public var restartCount: Int

    /// Creates the payload.
    public init(tool: String, error: String, restartCount: Int) {
        self.tool = tool
        self.error = error
        self.restartCount = restartCount
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        tool = try eventData.string("tool")
        error = try eventData.string("error")
        restartCount = try eventData.integer("restart_count")
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("error", error)
        data.write("restart_count", restartCount)
        data.write("tool", tool)
    }
}

extension ToolCrashed: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A tool ended by itself." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField("error", .string, "What went wrong.", example: "out of memory"),
            PayloadField("restart_count", .integer, "Which crash since the start on request, from 1.", example: 2),
            PayloadField("tool", .string, "The tool's name.", example: "whisper"),
        ]
    }
}
