/// A run of a tool with a schedule has ended by itself. It stands for `tool.stopped` and `tool.crashed` of other tools.
public struct ToolFinished: EventPayload, Hashable {
    /// `tool.finished`.
    public static var eventType: EventType { .toolFinished }

    /// The tool's name.
    public var tool: String
    /// The exit code; 128 and the number of the signal that ended it, as in a shell; `nil` when it could not be started.
    public var code: Int?
    /// How long it ran, in seconds.
    public var durationSeconds: Double
    /// Whether it failed: it exited with another code than 0, a signal ended it, or it could not be started.
    public var failed: Bool
    /// What went wrong, when it failed.
    public var error: String?
    /// When it is started next; `nil` when it is not.
    public var next: Timestamp?
    /// The last lines that it wrote, when it failed, as in ``ToolCrashed/output``.
    public var output: [String]

    /// Creates the payload.
    public init(
        tool: String,
        code: Int?,
        durationSeconds: Double,
        failed: Bool = false,
        error: String? = nil,
        next: Timestamp? = nil,
        output: [String] = []
    ) {
        self.tool = tool
        self.code = code
        self.durationSeconds = durationSeconds
        self.failed = failed
        self.error = error
        self.next = next
        self.output = output
    }

    /// Reads the payload; what is missing reads as empty. A long output is cut as that of ``ToolCrashed`` is.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        tool = try eventData.string("tool")
        code = if let code = eventData["code"], !code.isNull { try eventData.integer("code") } else { nil }
        durationSeconds = try eventData.number("duration_s")
        failed = try eventData.boolean("failed")
        error = try eventData.optionalString("error")
        next = try eventData.time("next")
        output = OutputTail.ofStrangers.applied(to: try eventData.strings("output"))
    }

    /// Writes the payload; of the optional members those that there is something to say of.
    public func write(to data: inout EventDataWriter) {
        if let code { data.write("code", code) }
        data.write("duration_s", durationSeconds)
        if let error { data.write("error", error) }
        if failed { data.write("failed", true) }
        if let next { data.write("next", next) }
        if !output.isEmpty { data.write("output", .array(output.map { .string($0) })) }
        data.write("tool", tool)
    }
}

extension ToolFinished: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A run of a tool with a schedule has ended." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField(
                "code",
                .integer,
                "The exit code; 128 and the signal's number when a signal ended it; missing when it could not be started.",
                example: 3,
                isOptional: true
            ),
            PayloadField("duration_s", .number, "How long it ran, in seconds.", example: 41.5),
            PayloadField(
                "error",
                .string,
                "What went wrong, when it failed.",
                example: "exited with code 3",
                isOptional: true
            ),
            PayloadField(
                "failed",
                .boolean,
                "True when it failed; missing otherwise.",
                example: true,
                isOptional: true
            ),
            PayloadField(
                "next",
                .timestamp,
                "When it is started next; missing when it is not.",
                example: "2026-11-25T03:00:00Z",
                isOptional: true
            ),
            PayloadField(
                "output",
                .strings,
                "The last lines that it wrote, when it failed, oldest first, without secrets.",
                example: ["no space left on device"],
                isOptional: true
            ),
            PayloadField("tool", .string, "The tool's name.", example: "backup"),
        ]
    }
}

/// A tool with a schedule was not started when it was due.
public struct ToolSkipped: EventPayload, Hashable {
    /// `tool.skipped`.
    public static var eventType: EventType { .toolSkipped }

    /// The tool's name.
    public var tool: String
    /// Why: `overlap` (it still ran) or `missed` (its node did not run then).
    public var reason: String
    /// When it was due; the first time, when it was so several times.
    public var due: Timestamp
    /// When it is started next; `nil` when it is not.
    public var next: Timestamp?
    /// For how many times this stands, from 1: of a run that goes on for long, not each is said.
    public var count: Int

    /// Creates the payload.
    public init(tool: String, reason: String, due: Timestamp, next: Timestamp? = nil, count: Int = 1) {
        self.tool = tool
        self.reason = reason
        self.due = due
        self.next = next
        self.count = count
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        tool = try eventData.string("tool")
        reason = try eventData.string("reason")
        due = try eventData.time("due") ?? .epoch
        next = try eventData.time("next")
        count = max(1, try eventData.integer("count"))
    }

    /// Writes the payload; ``next`` only when there is one, ``count`` only above 1.
    public func write(to data: inout EventDataWriter) {
        if count > 1 { data.write("count", count) }
        data.write("due", due)
        if let next { data.write("next", next) }
        data.write("reason", reason)
        data.write("tool", tool)
    }
}

extension ToolSkipped: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A tool with a schedule was not started when it was due." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField(
                "count",
                .integer,
                "For how many times this stands, above 1; missing for one.",
                example: 12,
                isOptional: true
            ),
            PayloadField(
                "due",
                .timestamp,
                "When it was due; the first time, when it stands for several.",
                example: "2026-11-24T03:00:00Z"
            ),
            PayloadField(
                "next",
                .timestamp,
                "When it is started next; missing when it is not.",
                example: "2026-11-25T03:00:00Z",
                isOptional: true
            ),
            PayloadField(
                "reason",
                .string,
                "Why: overlap (it still ran) or missed (its node did not run then).",
                example: "overlap"
            ),
            PayloadField("tool", .string, "The tool's name.", example: "backup"),
        ]
    }
}
