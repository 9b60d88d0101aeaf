/// A tool was stopped on purpose.
public struct ToolStopped: EventPayload, Hashable {
    /// `tool.stopped`.
    public static var eventType: EventType { .toolStopped }

    /// The beginning of ``reason`` when a tool has crashed too often: its node does not start it again.
    package static let gaveUpReason = "gave up after "

    /// The tool's name.
    public var tool: String
    /// Why, e.g. `update` or `uninstall`.
    public var reason: String

    /// Creates the payload.
    public init(tool: String, reason: String) {
        self.tool = tool
        self.reason = reason
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        tool = try eventData.string("tool")
        reason = try eventData.string("reason")
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("reason", reason)
        data.write("tool", tool)
    }
}

extension ToolStopped: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A tool was stopped on purpose." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField("reason", .string, "Why, e.g. stopped, restart, update or uninstall.", example: "update"),
            PayloadField("tool", .string, "The tool's name.", example: "whisper"),
        ]
    }
}
