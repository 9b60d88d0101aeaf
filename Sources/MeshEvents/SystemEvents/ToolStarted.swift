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
    ///
    /// - Throws: `invalidData` when a member holds data that JSON cannot express.
    public func eventData() throws(MeshEventsError) -> EventData {
        let data = data
        try data.validate()
        return data
    }

    /// The payload as data; invalid when a member's is.
    var data: EventData {
        EventData { writer in
            writer.open(UInt8(ascii: "{"))
            writer.write("\"tool\":")
            writer.string(tool)
            writer.close(UInt8(ascii: "}"))
        }
    }
}
