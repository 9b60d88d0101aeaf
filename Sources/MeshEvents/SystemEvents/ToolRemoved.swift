/// A tool was removed from a node.
public struct ToolRemoved: EventPayload, Hashable {
    /// `tool.removed`.
    public static var eventType: EventType { .toolRemoved }

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

extension ToolRemoved: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A tool was removed from a node." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField("tool", .string, "The tool's name.", example: "whisper")
        ]
    }
}
