/// A tool ended by itself.
public struct ToolCrashed: EventPayload, Hashable {
    /// `tool.crashed`.
    public static var eventType: EventType { .toolCrashed }

    /// The tool's name.
    public var tool: String
    /// What went wrong.
    public var error: String
    /// How often it was restarted so far.
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
            writer.write("\"error\":")
            writer.string(error)
            writer.write(",\"restart_count\":")
            writer.integer(Int64(restartCount))
            writer.write(",\"tool\":")
            writer.string(tool)
            writer.close(UInt8(ascii: "}"))
        }
    }
}
