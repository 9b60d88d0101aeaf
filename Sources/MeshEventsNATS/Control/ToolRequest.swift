public import MeshEvents

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// An action that a client can request for a tool of a node.
public enum ToolAction: String, Sendable, Hashable, Codable, CaseIterable {
    /// Start it when it does not run.
    case start
    /// Stop it until a user starts it again.
    case stop
    /// Stop it when it runs, and start it.
    case restart
    /// Have the program read its configuration again: send it the signal that its specification names for that.
    case reload
    /// Send the program a signal.
    case signal
    /// Install a tool, and start it with its node's others.
    case install
    /// Replace a tool's specification; start it again when it ran.
    case upgrade
    /// Stop it and forget it.
    case remove
    /// Say how it is; changes nothing.
    case status
}

/// What a client asks of a node about one of its tools.
///
/// ```swift
/// let result = try await RemoteTools(node: "atelier", connection: connection).send(.signal("USR1", to: "whisper"))
/// ```
public struct ToolRequest: Sendable, Hashable {
    /// The most bytes of a request.
    public static let maximumBytes = 64 << 10
    /// The most bytes of ``id``, and of ``by``.
    public static let maximumText = 128

    /// What to do.
    public var action: ToolAction
    /// The tool's name.
    public var tool: String
    /// The name of the signal for ``ToolAction/signal``, such as `SIGUSR1` or `usr1`.
    public var signal: String?
    /// The tool's specification for ``ToolAction/install`` and ``ToolAction/upgrade``: an object like that of a tool in
    /// `mesh.yaml`. The node that runs the tool replaces its variables (`${NAME}`), by its own environment.
    public var specification: EventData?
    /// Who asks, for the event `tool.controlled`: a claim that the node cannot check.
    public var by: String
    /// Identifies the request: a node that gets it twice acts once, and gives the same answer twice. Empty for none: then
    /// a request that has a ``time`` is known by its contents, and one without is carried out each time it comes.
    public var id: String
    /// When it was made, by this process's clock; `nil` does not say it. A node refuses a request from a time that it does
    /// not remember (`untimely`): it may have carried it out already. ``RemoteTools`` allows for a clock that differs.
    public var time: Timestamp?

    /// Creates a request.
    ///
    /// - Parameters:
    ///   - action: what to do.
    ///   - tool: the tool's name.
    ///   - signal: the signal's name, for ``ToolAction/signal``.
    ///   - specification: the tool's specification, for ``ToolAction/install`` and ``ToolAction/upgrade``.
    ///   - by: who asks; ``caller`` by default.
    ///   - id: identifies the request; `nil` for a new identity.
    ///   - time: when it was made; `nil` does not say it.
    public init(
        _ action: ToolAction,
        tool: String,
        signal: String? = nil,
        specification: EventData? = nil,
        by: String = Self.caller,
        id: String? = nil,
        time: Timestamp? = .now
    ) {
        self.action = action
        self.tool = tool
        self.signal = signal
        self.specification = specification
        self.by = by
        self.id = id ?? Self.newID()
        self.time = time
    }

    /// Starts a tool; one that runs is left alone.
    public static func start(_ tool: String) -> ToolRequest { ToolRequest(.start, tool: tool) }
    /// Stops a tool until a user starts it again.
    public static func stop(_ tool: String) -> ToolRequest { ToolRequest(.stop, tool: tool) }
    /// Stops a tool when it runs, and starts it.
    public static func restart(_ tool: String) -> ToolRequest { ToolRequest(.restart, tool: tool) }
    /// Has a tool's program read its configuration again.
    public static func reload(_ tool: String) -> ToolRequest { ToolRequest(.reload, tool: tool) }
    /// Sends a tool's program a signal, such as `USR1`.
    public static func signal(_ signal: String, to tool: String) -> ToolRequest {
        ToolRequest(.signal, tool: tool, signal: signal)
    }
    /// Installs a tool by a specification as in `mesh.yaml`.
    public static func install(_ tool: String, _ specification: EventData) -> ToolRequest {
        ToolRequest(.install, tool: tool, specification: specification)
    }
    /// Replaces a tool's specification, and starts the tool again when it ran.
    public static func upgrade(_ tool: String, to specification: EventData) -> ToolRequest {
        ToolRequest(.upgrade, tool: tool, specification: specification)
    }
    /// Stops a tool and forgets it.
    public static func remove(_ tool: String) -> ToolRequest { ToolRequest(.remove, tool: tool) }

    /// The user and the host of this process: `anna@desk`.
    public static var caller: String {
        var name = [CChar](repeating: 0, count: 256)
        let host = gethostname(&name, name.count - 1) == 0 ? text(name) : ""
        return "\(user ?? "uid \(getuid())")@\(host.isEmpty ? "localhost" : host)"
    }

    private static var user: String? {
        var (entry, buffer) = (passwd(), [CChar](repeating: 0, count: 4_096))
        var found: UnsafeMutablePointer<passwd>?
        return buffer.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress, getpwuid_r(getuid(), &entry, base, buffer.count, &found) == 0,
                found != nil, let name = entry.pw_name
            else { return nil }
            return String(cString: name)
        }
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func newID() -> String {
        var generator = SystemRandomNumberGenerator()
        return [generator.next(), generator.next()].map { (number: UInt64) in
            let digits = String(number, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}

extension ToolRequest {
    /// The request as JSON, for `mesh.control.tool.<node>`. Older nodes read `action` and `tool`.
    ///
    /// - Parameter timeout: how long the client waits for the answer.
    package func json(timeout: Duration) -> String {
        var members: [(String, JSONValue)] = [("action", .string(action.rawValue)), ("tool", .string(tool))]
        if !by.isEmpty { members.append(("by", .string(by))) }
        if !id.isEmpty { members.append(("id", .string(id))) }
        if let signal { members.append(("signal", .string(signal))) }
        if let specification { members.append(("specification", specification.value)) }
        if let time { members.append(("time", .string(time.description))) }
        members.append(("timeout_s", JSONValue((timeout / .milliseconds(1)).rounded() / 1_000)))
        return EventData(JSONObject(members)).json
    }

    /// A request that was received, and how long its client waits for the answer; `nil` when it does not say that.
    ///
    /// - Throws: ``ToolRefusal``: `tooLarge`, `invalidRequest`.
    package static func read(
        _ bytes: some Sequence<UInt8>
    ) throws(ToolRefusal) -> (request: ToolRequest, timeout: Duration?) {
        let bytes = Array(bytes)
        guard bytes.count <= maximumBytes else {
            throw ToolRefusal(.tooLarge, "the request has \(bytes.count) bytes, more than \(maximumBytes)")
        }
        let actions = ToolAction.allCases.map(\.rawValue).joined(separator: ", ")
        guard let data = try? EventData(json: bytes), !data.isNull, let tool = data["tool"]?.string,
            let name = data["action"]?.string
        else {
            throw ToolRefusal(
                .invalidRequest,
                "the request must be a JSON object with the members action (\(actions)) and tool"
            )
        }
        guard let action = ToolAction(rawValue: name) else {
            let shown = SubjectRules.quoted(name)
            throw ToolRefusal(.invalidRequest, "there is no action \(shown); the actions are \(actions)")
        }
        var request = ToolRequest(action, tool: tool, by: "", id: "", time: nil)
        request.by = try data.text("by") ?? ""
        request.id = try data.text("id") ?? ""
        request.signal = try data.text("signal")
        request.time = try data.time("time")
        if let field = data["specification"], !field.value.isNull {
            guard let object = field.value.object else {
                throw ToolRefusal(.invalidRequest, "the member specification must be an object, as a tool of mesh.yaml")
            }
            request.specification = EventData(object)
        }
        guard let seconds = data["timeout_s"]?.double, seconds > 0, seconds < 86_400 else { return (request, nil) }
        return (request, .milliseconds(Int64(seconds * 1_000)))
    }
}

extension EventData {
    /// A member that is a short text, if it is there.
    fileprivate func text(_ name: String) throws(ToolRefusal) -> String? {
        guard let field = self[name], !field.value.isNull else { return nil }
        guard let text = field.string, text.utf8.count <= ToolRequest.maximumText else {
            let limit = ToolRequest.maximumText
            throw ToolRefusal(.invalidRequest, "the member \(name) must be text of at most \(limit) bytes")
        }
        return text
    }

    /// A member that is a time, if it is there.
    fileprivate func time(_ name: String) throws(ToolRefusal) -> Timestamp? {
        guard let text = try text(name) else { return nil }
        guard let time = try? Timestamp(rfc3339: text) else {
            throw ToolRefusal(.invalidRequest, "the member \(name) must be a time as of RFC 3339")
        }
        return time
    }
}
