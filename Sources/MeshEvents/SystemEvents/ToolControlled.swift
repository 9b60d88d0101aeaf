/// A node was asked to do something with a tool, and has done or refused it. The node that was asked emits this.
public struct ToolControlled: EventPayload, Hashable {
    /// `tool.controlled`.
    public static var eventType: EventType { .toolControlled }

    /// The ``result`` of a request that was carried out.
    public static var done: String { "done" }

    /// The tool's name, as it stands in the request.
    public var tool: String
    /// What was asked for: `start`, `stop`, `restart`, `reload`, `signal`, `install`, `upgrade` or `remove`; empty when the
    /// request was not understood.
    public var action: String
    /// Who asked, such as `anna@desk`; empty when the request does not say it. It is what the client says of itself: the
    /// node cannot check it. Who *may* ask is decided by the permissions of the server.
    public var by: String
    /// ``done``, or the code of the error, such as `notInstalled`.
    public var result: String
    /// What went wrong, without secrets; `nil` when it was done.
    public var error: String?
    /// The signal that was asked for, such as `SIGUSR1`; only with the actions `signal` and `reload`.
    public var signal: String?
    /// How many refused requests before this event have none of their own, because too many came.
    public var omitted: Int

    /// Creates the payload.
    public init(
        tool: String,
        action: String,
        by: String = "",
        result: String = Self.done,
        error: String? = nil,
        signal: String? = nil,
        omitted: Int = 0
    ) {
        self.tool = tool
        self.action = action
        self.by = by
        self.result = result
        self.error = error
        self.signal = signal
        self.omitted = omitted
    }

    /// Whether the request was carried out.
    public var isDone: Bool { result == Self.done }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        tool = try eventData.string("tool")
        action = try eventData.string("action")
        by = try eventData.string("by")
        result = try eventData.string("result")
        error = try eventData.optionalString("error")
        signal = try eventData.optionalString("signal")
        omitted = try eventData.integer("omitted")
    }

    /// Writes the payload; ``error``, ``signal`` and ``omitted`` only when there is something to say.
    public func write(to data: inout EventDataWriter) {
        data.write("action", action)
        data.write("by", by)
        if let error { data.write("error", error) }
        if omitted != 0 { data.write("omitted", omitted) }
        data.write("result", result)
        if let signal { data.write("signal", signal) }
        data.write("tool", tool)
    }
}

extension ToolControlled: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A node was asked to do something with a tool, and has done or refused it." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField(
                "action",
                .string,
                "What was asked for: start, stop, restart, reload, signal, install, upgrade or remove.",
                example: "signal"
            ),
            PayloadField("by", .string, "Who asked, as the client says of itself; maybe empty.", example: "anna@desk"),
            PayloadField(
                "error",
                .string,
                "What went wrong; missing when it was done.",
                example: "tool whisper: does not run",
                isOptional: true
            ),
            PayloadField(
                "omitted",
                .integer,
                "How many refused requests before this one have no event; missing when there are none.",
                example: 12,
                isOptional: true
            ),
            PayloadField("result", .string, "`done`, or the code of the error.", example: "notRunning"),
            PayloadField(
                "signal",
                .string,
                "The signal that was asked for; with the actions signal and reload.",
                example: "SIGUSR1",
                isOptional: true
            ),
            PayloadField("tool", .string, "The tool's name.", example: "whisper"),
        ]
    }
}
