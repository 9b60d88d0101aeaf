/// A tool was installed on a node.
public struct ToolInstalled: EventPayload, Hashable {
    /// `tool.installed`.
    public static var eventType: EventType { .toolInstalled }

    /// The tool's name.
    public var tool: String
    /// The version that was installed; empty when none was given.
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
            PayloadField("version", .string, "The version that was installed; may be empty.", example: "v1.4.0"),
        ]
    }
}

/// A tool's configuration was changed.
public struct ToolConfigured: EventPayload, Hashable {
    /// `tool.configured`.
    public static var eventType: EventType { .toolConfigured }

    /// The tool's name.
    public var tool: String
    /// The new configuration: an object, or null. Secrets do not belong here: every subscriber sees them.
    public var config: EventData

    /// Creates the payload.
    public init(tool: String, config: EventData) {
        self.tool = tool
        self.config = config
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        tool = try eventData.string("tool")
        config = try eventData.object("config")
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("config", config)
        data.write("tool", tool)
    }
}

extension ToolConfigured: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A tool's configuration was changed." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField("config", .object, "The new configuration, without secrets.", example: ["model": "base"]),
            PayloadField("tool", .string, "The tool's name.", example: "whisper"),
        ]
    }
}

/// A tool was started.
public struct ToolStarted: EventPayload, Hashable {
    /// `tool.started`.
    public static var eventType: EventType { .toolStarted }

    /// The tool's name.
    public var tool: String
    /// `false` when it has yet to show that it is ready, with a `tool.ready`; `nil` when nothing is said about that.
    public var isReady: Bool?

    /// Creates the payload.
    public init(tool: String, isReady: Bool? = nil) {
        self.tool = tool
        self.isReady = isReady
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        tool = try eventData.string("tool")
        isReady = try eventData.optionalBoolean("ready")
    }

    /// Writes the payload; ``isReady`` only when there is something to say.
    public func write(to data: inout EventDataWriter) {
        if let isReady { data.write("ready", isReady) }
        data.write("tool", tool)
    }
}

extension ToolStarted: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A tool was started." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField(
                "ready",
                .boolean,
                "False when it has yet to show that it is ready, with a tool.ready; missing otherwise.",
                example: false,
                isOptional: true
            ),
            PayloadField("tool", .string, "The tool's name.", example: "whisper"),
        ]
    }
}

/// A tool was stopped on purpose, has ended with code 0, or was given up after too many crashes.
public struct ToolStopped: EventPayload, Hashable {
    /// `tool.stopped`.
    public static var eventType: EventType { .toolStopped }

    /// The beginning of ``reason`` when a tool has crashed too often: its node does not start it again. Nodes of the Go
    /// mesh begin the error of `tool.crashed` with it.
    package static let gaveUpReason = "gave up after "

    /// The tool's name.
    public var tool: String
    /// Why, e.g. `update` or `uninstall`.
    public var reason: String
    /// Whether it has failed: it crashed too often, and its node does not start it again.
    public var failed: Bool
    /// The error of its last crash, when it has failed.
    public var error: String?

    /// Creates the payload.
    public init(tool: String, reason: String, failed: Bool = false, error: String? = nil) {
        self.tool = tool
        self.reason = reason
        self.failed = failed
        self.error = error
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        tool = try eventData.string("tool")
        reason = try eventData.string("reason")
        failed = try eventData.boolean("failed")
        error = try eventData.optionalString("error")
    }

    /// Writes the payload; ``failed`` and ``error`` only when there is something to say.
    public func write(to data: inout EventDataWriter) {
        if let error { data.write("error", error) }
        if failed { data.write("failed", true) }
        data.write("reason", reason)
        data.write("tool", tool)
    }
}

extension ToolStopped: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A tool was stopped on purpose, has ended by itself, or was given up." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField(
                "error",
                .string,
                "The error of its last crash, when it has failed.",
                example: "exited with code 3",
                isOptional: true
            ),
            PayloadField(
                "failed",
                .boolean,
                "True when it crashed too often and its node does not start it again; missing otherwise.",
                example: true,
                isOptional: true
            ),
            PayloadField("reason", .string, "Why, e.g. stopped, restart, update or uninstall.", example: "update"),
            PayloadField("tool", .string, "The tool's name.", example: "whisper"),
        ]
    }
}

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
    /// The last lines that the tool wrote before it crashed, oldest first, without secrets: on standard error, or on standard
    /// output when it wrote nothing there. Empty when there are none, or its node does not publish them.
    public var output: [String]
    /// Whether its node starts it again after a delay; `nil` when nothing is said about that, as by nodes of the Go mesh.
    public var isRestarting: Bool?

    /// Creates the payload.
    public init(
        tool: String,
        error: String,
        restartCount: Int,
        output: [String] = [],
        isRestarting: Bool? = nil
    ) {
        self.tool = tool
        self.error = error
        self.restartCount = restartCount
        self.output = output
        self.isRestarting = isRestarting
    }

    /// Reads the payload; what is missing reads as empty. Of an output with more than 1 000 lines or 64 KiB, the last
    /// lines are read; a first one says how many are left out.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        tool = try eventData.string("tool")
        error = try eventData.string("error")
        restartCount = try eventData.integer("restart_count")
        output = OutputTail.ofStrangers.applied(to: try eventData.strings("output"))
        isRestarting = try eventData.optionalBoolean("restarting")
    }

    /// Writes the payload; ``output`` and ``isRestarting`` only when there is something to say.
    public func write(to data: inout EventDataWriter) {
        data.write("error", error)
        if !output.isEmpty { data.write("output", .array(output.map { .string($0) })) }
        data.write("restart_count", restartCount)
        if let isRestarting { data.write("restarting", isRestarting) }
        data.write("tool", tool)
    }

    /// Whether the tool's node does not start it again, by the data of the event, read leniently. Nodes of the Go mesh and of
    /// former versions say it by the error alone, and not always.
    package static func isFinal(_ data: EventData) -> Bool {
        data["restarting"]?.bool.map { !$0 } ?? (data["error"]?.string ?? "").hasPrefix(ToolStopped.gaveUpReason)
    }
}

extension ToolCrashed: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A tool ended by itself." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField("error", .string, "What went wrong.", example: "out of memory"),
            PayloadField(
                "output",
                .strings,
                "The last lines that it wrote before the crash, oldest first, without secrets.",
                example: ["CUDA out of memory"],
                isOptional: true
            ),
            PayloadField("restart_count", .integer, "Which crash since the start on request, from 1.", example: 2),
            PayloadField(
                "restarting",
                .boolean,
                "Whether its node starts it again after a delay; missing when that is not known.",
                example: true,
                isOptional: true
            ),
            PayloadField("tool", .string, "The tool's name.", example: "whisper"),
        ]
    }
}

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
