import MeshEvents

/// A session of the Model Context Protocol, as a pure value: messages of the client in, what to do out.
struct AgentSession: Sendable {
    /// What to do.
    enum Action: Sendable {
        /// Send the client this line.
        case send(String)
        /// Run a tool; ``finished(_:_:boundary:)`` takes its answer, and ``ended(_:)`` follows in any case.
        case start(AgentCall)
        /// End the call of this number; its answer does not count any more.
        case cancel(Int)
    }

    /// How much a client may ask for.
    struct Limits: Sendable {
        /// The most calls that run at once.
        var calls = 16
    }

    /// A message is not taken when its line is longer, in bytes.
    static let longestLine = 1 << 20

    private struct Running: Sendable {
        let id: RPCID
        /// The list in which the request came.
        let batch: Int?
        let progress: JSONValue?
    }

    /// Requests that came as a list: their answers go back as one.
    private struct Batch: Sendable {
        var missing: Int
        var answers: [String] = []
    }

    private let tools: AgentToolbox
    private let limits: Limits
    /// The version spoken; `nil` before `initialize`.
    private(set) var version: AgentProtocolVersion?
    private var client = AgentClient()
    private var running: [Int: Running] = [:]
    /// The calls whose work has not ended, or whose answer the client has not taken; cancelled ones, too.
    private var open: Set<Int> = []
    private var batches: [Int: Batch] = [:]
    private var lastNumber = 0

    init(_ tools: AgentToolbox, _ limits: Limits = Limits()) {
        self.tools = tools
        self.limits = limits
    }

    /// Takes a line of the client.
    mutating func receive(_ line: some Collection<UInt8>) -> [Action] {
        let (messages, isBatch): ([RPCMessage], Bool)
        do throws(RPCError) {
            (messages, isBatch) = try RPCMessage.read(line)
        } catch {
            return [.send(RPCText.error(nil, error))]
        }
        guard isBatch else { return messages.flatMap { take($0, batch: nil) } }
        guard version?.hasBatches == true else {
            let words: OwnWords = "Lists of messages are not part of this version of the protocol."
            return [.send(RPCText.error(nil, RPCError(.invalidRequest, words)))]
        }
        return receive(batch: messages)
    }

    /// Takes a line that is longer than ``longestLine``, and was not kept.
    mutating func receiveTooLong() -> [Action] {
        let words: OwnWords = "The line has more than \(Self.longestLine) bytes; it was left out."
        return [.send(RPCText.error(nil, RPCError(.invalidRequest, words)))]
    }

    private mutating func receive(batch messages: [RPCMessage]) -> [Action] {
        lastNumber += 1
        let number = lastNumber
        var actions: [Action] = []
        var batch = Batch(missing: 0)
        for message in messages {
            // What a notification leads to is no answer of this list.
            if case .notification = message {
                actions += take(message, batch: nil)
                continue
            }
            for action in take(message, batch: number) {
                switch action {
                case .send(let line): batch.answers.append(line)
                case .start, .cancel: actions.append(action)
                }
            }
        }
        // A message of the list can have cancelled another one of it.
        batch.missing = running.values.count { $0.batch == number }
        batches[number] = batch
        return actions + sendIfComplete(number)
    }

    private mutating func sendIfComplete(_ number: Int) -> [Action] {
        guard let batch = batches[number], batch.missing == 0 else { return [] }
        batches[number] = nil
        return batch.answers.isEmpty ? [] : [.send(RPCText.batch(batch.answers))]
    }

    private mutating func take(_ message: RPCMessage, batch: Int?) -> [Action] {
        switch message {
        case .request(let id, let method, let params):
            do throws(RPCError) {
                return try answer(id, method, params, batch)
            } catch {
                return [.send(RPCText.error(id, error))]
            }
        case .notification("notifications/cancelled", let params): return cancel(params)
        case .notification, .answer: return []
        case .invalid(let id, let error): return [.send(RPCText.error(id, error))]
        }
    }

    private mutating func answer(
        _ id: RPCID,
        _ method: String,
        _ params: EventData,
        _ batch: Int?
    ) throws(RPCError) -> [Action] {
        switch method {
        case "initialize":
            guard batch == nil else { throw RPCError(.invalidRequest, "`initialize` cannot be in a list.") }
            return [.send(RPCText.result(id, initialize(params)))]
        case "ping": return [.send(RPCText.result(id, "{}"))]
        case "tools/list":
            let version = try spoken()
            guard params["cursor"]?.isNull != false else { throw RPCError(.invalidParams, "There is no such cursor.") }
            return [.send(RPCText.result(id, tools.list(version)))]
        case "tools/call": return try call(id, params, batch)
        default: throw RPCError(.methodNotFound, "There is no such method.")
        }
    }

    private func spoken() throws(RPCError) -> AgentProtocolVersion {
        guard let version else { throw RPCError(.invalidRequest, "Send `initialize` first.") }
        return version
    }

    private mutating func initialize(_ params: EventData) -> String {
        let version = AgentProtocolVersion.negotiated(params["protocolVersion"]?.string ?? "")
        self.version = version
        client = AgentClient(name: (params["clientInfo"]?["name"]?.string ?? "").prefix(bytes: 64))
        let server: JSONValue = [
            "name": "mesh-events", "title": "MeshEvents", "version": .string(tools.version),
        ]
        let result: EventData = [
            "protocolVersion": .string(version.rawValue),
            "capabilities": ["tools": ["listChanged": false]],
            "serverInfo": server,
            "instructions": .string(tools.instructions.text),
        ]
        return result.json
    }

    private mutating func call(_ id: RPCID, _ params: EventData, _ batch: Int?) throws(RPCError) -> [Action] {
        let version = try spoken()
        guard let name = params["name"]?.string, let tool = tools[name] else {
            throw RPCError(.invalidParams, "There is no tool of that name; `tools/list` names those there are.")
        }
        var arguments = EventData.empty
        if let field = params["arguments"], !field.isNull {
            guard let object = field.data else { throw RPCError(.invalidParams, "`arguments` has to be an object.") }
            arguments = object
        }
        guard !running.values.contains(where: { $0.id == id }) else {
            throw RPCError(.invalidRequest, "A request with this id runs already.")
        }
        guard open.count < limits.calls else {
            let words: OwnWords = "\(limits.calls) calls run already. Call again when one of them has ended."
            let answer = AgentAnswer(AgentFailure(.busy, words))
            return [.send(RPCText.result(id, answer.json(version, boundary: "")))]
        }
        lastNumber += 1
        let progress = params["_meta"]?["progressToken"].flatMap { RPCID($0)?.json }
        running[lastNumber] = Running(id: id, batch: batch, progress: progress)
        open.insert(lastNumber)
        return [
            .start(
                AgentCall(
                    number: lastNumber,
                    tool: tool,
                    arguments: arguments,
                    client: client,
                    wantsProgress: progress != nil
                )
            )
        ]
    }

    private mutating func cancel(_ params: EventData) -> [Action] {
        guard let id = params["requestId"].flatMap({ RPCID($0) }),
            let number = running.first(where: { $0.value.id == id })?.key
        else { return [] }
        return [.cancel(number)] + forget(number)
    }

    /// Forgets a call; sends the answers of its list when it was the last one that was missing.
    private mutating func forget(_ number: Int) -> [Action] {
        guard let call = running.removeValue(forKey: number), let batch = call.batch else { return [] }
        batches[batch]?.missing -= 1
        return sendIfComplete(batch)
    }

    /// Takes the answer of a call.
    ///
    /// - Parameters:
    ///   - number: the call's number.
    ///   - answer: the answer.
    ///   - boundary: as for ``AgentAnswer/json(_:boundary:)``.
    /// - Returns: What to send; nothing when the call was cancelled.
    mutating func finished(_ number: Int, _ answer: AgentAnswer, boundary: String) -> [Action] {
        guard let call = running[number], let version else { return [] }
        let line = RPCText.result(call.id, answer.json(version, boundary: boundary))
        guard let batch = call.batch else {
            running[number] = nil
            return [.send(line)]
        }
        batches[batch]?.answers.append(line)
        return forget(number)
    }

    /// Takes that a call takes no more room: its work has ended, and its answer was sent, if it has one.
    mutating func ended(_ number: Int) { open.remove(number) }

    /// The line that says how far a call is.
    ///
    /// - Parameters:
    ///   - number: the call's number.
    ///   - seconds: for how long it has run.
    ///   - total: how long it may take, in seconds.
    /// - Returns: `nil` when the call has ended.
    func progress(_ number: Int, seconds: Int, of total: Int) -> String? {
        guard let token = running[number]?.progress else { return nil }
        return RPCText.notification(
            "notifications/progress",
            ["progressToken": token, "progress": JSONValue(seconds), "total": JSONValue(total)]
        )
    }
}

/// A call of a tool.
struct AgentCall: Sendable {
    let number: Int
    let tool: AgentTool
    let arguments: EventData
    let client: AgentClient
    let wantsProgress: Bool
}

/// The tools of a server, and what it says of itself.
struct AgentToolbox: Sendable {
    let tools: [AgentTool]
    let instructions: OwnWords
    /// The version of the program.
    let version: String

    /// The tool of this name.
    subscript(name: String) -> AgentTool? { tools.first { $0.name.text == name } }

    /// The result of `tools/list`.
    func list(_ version: AgentProtocolVersion) -> String {
        EventData(["tools": .array(tools.map { $0.json(version) })] as JSONObject).json
    }
}
