/// A node was asked to do something with a tool, and has done or refused it. The node that was asked emits this.
///
/// What takes longer than two seconds has two events with the same ``request``: the first with the result ``accepted``, and
/// the second when it has ended. Without the second, the node has ended before, or is still at it.
public struct ToolControlled: EventPayload, Hashable {
    /// `tool.controlled`.
    public static var eventType: EventType { .toolControlled }

    /// The ``result`` of a request that was carried out.
    public static var done: String { "done" }

    /// The ``result`` of a request that is being carried out, and takes long.
    public static var accepted: String { "accepted" }

    /// The tool's name, as it stands in the request.
    public var tool: String
    /// What was asked for: `start`, `stop`, `restart`, `reload`, `signal`, `install`, `upgrade` or `remove`; empty when the
    /// request was not understood.
    public var action: String
    /// Who asked, such as `anna@desk`; empty when the request does not say it. It is what the client says of itself: the
    /// node cannot check it. Who *may* ask is decided by the permissions of the server.
    public var by: String
    /// ``done``, ``accepted``, or the code of the error, such as `notInstalled`.
    public var result: String
    /// What went wrong, without secrets; `nil` when nothing did.
    public var error: String?
    /// The signal that was asked for, such as `SIGUSR1`; only with the actions `signal` and `reload`.
    public var signal: String?
    /// How many refused requests before this event have none of their own, because too many came.
    public var omitted: Int
    /// The identity of the request, as its client has chosen it; empty when it has none.
    public var request: String

    /// Creates the payload.
    public init(
        tool: String,
        action: String,
        by: String = "",
        result: String = Self.done,
        error: String? = nil,
        signal: String? = nil,
        omitted: Int = 0,
        request: String = ""
    ) {
        self.tool = tool
        self.action = action
        self.by = by
        self.result = result
        self.error = error
        self.signal = signal
        self.omitted = omitted
        self.request = request
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
        request = try eventData.string("request")
    }

    /// Writes the payload; ``error``, ``signal``, ``omitted`` and ``request`` only when there is something to say.
    public func write(to data: inout EventDataWriter) {
        data.write("action", action)
        data.write("by", by)
        if let error { data.write("error", error) }
        if omitted != 0 { data.write("omitted", omitted) }
        if !request.isEmpty { data.write("request", request) }
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
                "What went wrong; missing when nothing did.",
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
            PayloadField(
                "request",
                .string,
                "The identity of the request; missing when it has none.",
                example: "5f0c2a9b7d3e41868c1b0f6a2d9e7c35",
                isOptional: true
            ),
            PayloadField(
                "result",
                .string,
                "`done`, the code of the error, or `accepted`: it takes long, and another event follows.",
                example: "notRunning"
            ),
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
