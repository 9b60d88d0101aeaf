public import MeshEvents

/// What a node answers about a tool when it has done what was asked.
public struct ToolControlResult: Sendable, Hashable {
    /// The node.
    public var node: String
    /// The tool's name.
    public var tool: String
    /// The tool's state afterwards; `removed` when the node has no such tool any more.
    public var state: ToolState
    /// The tool's version; `nil` when the node does not say it.
    public var version: String?
    /// The process id of the tool; `nil` when it does not run, or the node does not say it.
    public var pid: Int32?
    /// Whether the node says that it is ready; `nil` when nothing of it is watched, and from an older node.
    public var isReady: Bool?
    /// The error of the tool's last crash, without secrets; `nil` when there is none, or the node does not say it.
    public var lastError: String?
    /// How many other nodes have answered: they have the same name, and have been asked the same.
    public var otherAnswers: Int

    /// Creates a result.
    public init(
        node: String,
        tool: String,
        state: ToolState,
        version: String? = nil,
        pid: Int32? = nil,
        isReady: Bool? = nil,
        lastError: String? = nil,
        otherAnswers: Int = 0
    ) {
        self.node = node
        self.tool = tool
        self.state = state
        self.version = version
        self.pid = pid
        self.isReady = isReady
        self.lastError = lastError
        self.otherAnswers = otherAnswers
    }

    /// A sentence for users about ``otherAnswers``; `nil` when there are none.
    public var warning: String? { Self.warning(node, otherAnswers) }

    static func warning(_ node: String, _ others: Int) -> String? {
        guard others > 0 else { return nil }
        return "\(others + 1) nodes named \(node.debugDescription) have answered, and each acts by itself; "
            + "give each a name of its own"
    }

    /// Whether the tool is ready for its work, as far as the node says it.
    public var readiness: ToolReadiness { ToolReadiness(state, hasShown: isReady) }
}

/// Why a node refuses a request about a tool. It is the `underlying` error of `serverRefused` from ``RemoteTools``.
public struct ToolRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// What went wrong: the code of a `ToolError` of the module MeshSupervision, or one of these.
    public struct Code: RawRepresentable, Sendable, Hashable {
        /// The code's name in the answer.
        public let rawValue: String
        /// A code by its name.
        public init(rawValue: String) { self.rawValue = rawValue }

        /// The request is not understood, or lacks something.
        public static let invalidRequest = Code(rawValue: "invalidRequest")
        /// The request has too many bytes.
        public static let tooLarge = Code(rawValue: "tooLarge")
        /// The node has too much to do.
        public static let busy = Code(rawValue: "busy")
        /// The node was not started so that tools may be installed, changed and removed by requests.
        public static let installOff = Code(rawValue: "installOff")
        /// The request is from a time that the node does not remember: it may have carried it out already.
        public static let untimely = Code(rawValue: "untimely")
        /// The node has not finished in time; it goes on.
        public static let timeout = Code(rawValue: "timeout")
        /// The tool does not run.
        public static let notRunning = Code(rawValue: "notRunning")
        /// The tool's specification does not say how it reads its configuration again.
        public static let cannotReload = Code(rawValue: "cannotReload")
        /// There is no signal of that name.
        public static let unknownSignal = Code(rawValue: "unknownSignal")
        /// No tool of that name is installed.
        public static let notInstalled = Code(rawValue: "notInstalled")
        /// A tool of that name is installed already.
        public static let alreadyInstalled = Code(rawValue: "alreadyInstalled")
        /// The specification has mistakes.
        public static let invalidSpecification = Code(rawValue: "invalidSpecification")
    }

    /// What went wrong.
    public let code: Code
    /// A sentence for users: what went wrong and what to do.
    public let message: String

    /// Creates a refusal.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}

/// A node's answer to a request about a tool, as JSON.
package struct ToolControlAnswer: Sendable, Hashable {
    package var state: ToolState?
    package var version: String?
    package var pid: Int32?
    package var isReady: Bool?
    package var lastError: String?
    package var refusal: ToolRefusal?
    /// The node's time, with the refusal of an untimely request.
    package var time: Timestamp?

    package init(
        state: ToolState? = nil,
        version: String? = nil,
        pid: Int32? = nil,
        isReady: Bool? = nil,
        lastError: String? = nil,
        refusal: ToolRefusal? = nil,
        time: Timestamp? = nil
    ) {
        self.state = state
        self.version = version
        self.pid = pid
        self.isReady = isReady
        self.lastError = lastError
        self.refusal = refusal
        self.time = time
    }

    /// Reads an answer, an older node's too, which has `state` or `error` only; `nil` when it is none.
    package init?(_ bytes: some Sequence<UInt8>) {
        guard let data = try? EventData(json: Array(bytes)), !data.isNull else { return nil }
        state = data["state"]?.string.map { ToolState(rawValue: $0) }
        version = data["version"]?.string
        pid = data["pid"]?.int.flatMap { Int32(exactly: $0) }
        isReady = data["ready"]?.bool
        lastError = data["last_error"]?.string
        if let error = data["error"], !error.value.isNull {
            guard let code = error["code"]?.string, let message = error["message"]?.string else { return nil }
            refusal = ToolRefusal(ToolRefusal.Code(rawValue: code), message)
        }
        time = data["time"]?.string.flatMap { try? Timestamp(rfc3339: $0) }
    }

    /// The answer as JSON.
    package var json: String {
        var members: [(String, JSONValue)] = []
        if let refusal {
            members.append(("error", ["code": .string(refusal.code.rawValue), "message": .string(refusal.message)]))
        }
        if let lastError { members.append(("last_error", .string(lastError))) }
        if let pid { members.append(("pid", JSONValue(Int(pid)))) }
        if let isReady { members.append(("ready", .bool(isReady))) }
        if let state { members.append(("state", .string(state.rawValue))) }
        if let time { members.append(("time", .string(time.description))) }
        if let version { members.append(("version", .string(version))) }
        return EventData(JSONObject(members)).json
    }
}
