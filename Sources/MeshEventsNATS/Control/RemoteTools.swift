public import MeshEvents
public import NATSClient
import NIOCore

/// Controls the tools of another node in the mesh. The node answers with a `ToolControl` of the module MeshSupervision.
///
/// ```swift
/// let tools = RemoteTools(node: "atelier", connection: transport.connection)
/// try await tools.restart("whisper")
/// try await tools.signal("USR1", to: "whisper")
/// ```
///
/// The node emits `tool.controlled` for each request, with ``by``.
///
/// Nodes that have the same name by mistake all carry a request out. Who asks learns that when another answer comes soon after
/// the first one: ``ToolControlResult/otherAnswers``.
public struct RemoteTools: Sendable {
    /// The node's name.
    public let node: String
    /// Who asks, for the event `tool.controlled`: a claim that the node cannot check.
    public let by: String
    private let connection: NATSConnection

    /// How many answers to a request are kept.
    private static let maximumAnswers = 16
    /// How long to wait for another answer, at least and at most: as long as the first one took.
    private static let otherAnswerTime: (least: Duration, most: Duration) = (.milliseconds(100), .seconds(1))

    /// Names a node; nothing is sent yet.
    ///
    /// - Parameters:
    ///   - node: the node's name.
    ///   - connection: the connection to the mesh.
    ///   - by: who asks; the user and the host of this process by default.
    public init(node: String, connection: NATSConnection, by: String = ToolRequest.caller) {
        self.node = node
        self.by = by
        self.connection = connection
    }

    /// Asks the node for an action that needs no more than the tool's name; returns when it is done. It does not look for
    /// other nodes of that name, unlike ``send(_:timeout:onAnswer:)``.
    ///
    /// - Parameters:
    ///   - action: what to do.
    ///   - tool: the tool's name.
    ///   - timeout: how long that may take. A tool that does not end by itself is killed after its grace period.
    /// - Returns: the text of the tool's state afterwards, see `ToolState` of the module MeshEvents.
    /// - Throws: as ``send(_:timeout:onAnswer:)``.
    @discardableResult
    public func perform(
        _ action: ToolAction,
        on tool: String,
        timeout: Duration = .seconds(30)
    ) async throws(MeshEventsError) -> String {
        let request = ToolRequest(action, tool: tool, by: by)
        return try await send(request, until: .now + timeout, countsOthers: false) { _ in }.state.rawValue
    }

    /// Starts a tool; one that runs is left alone.
    @discardableResult
    public func start(
        _ tool: String,
        timeout: Duration = .seconds(30)
    ) async throws(MeshEventsError) -> ToolControlResult {
        try await send(ToolRequest(.start, tool: tool, by: by), timeout: timeout)
    }

    /// Stops a tool until a user starts it again.
    @discardableResult
    public func stop(
        _ tool: String,
        timeout: Duration = .seconds(30)
    ) async throws(MeshEventsError) -> ToolControlResult {
        try await send(ToolRequest(.stop, tool: tool, by: by), timeout: timeout)
    }

    /// Stops a tool when it runs, and starts it.
    @discardableResult
    public func restart(
        _ tool: String,
        timeout: Duration = .seconds(30)
    ) async throws(MeshEventsError) -> ToolControlResult {
        try await send(ToolRequest(.restart, tool: tool, by: by), timeout: timeout)
    }

    /// Has a tool's program read its configuration again, by the signal that its specification names for that. The node
    /// refuses it (`cannotReload`) when it names none: a signal that a program does not handle ends it.
    @discardableResult
    public func reload(
        _ tool: String,
        timeout: Duration = .seconds(30)
    ) async throws(MeshEventsError) -> ToolControlResult {
        try await send(ToolRequest(.reload, tool: tool, by: by), timeout: timeout)
    }

    /// Sends a tool's program a signal by name, such as `USR1`.
    @discardableResult
    public func signal(
        _ signal: String,
        to tool: String,
        timeout: Duration = .seconds(30)
    ) async throws(MeshEventsError) -> ToolControlResult {
        try await send(ToolRequest(.signal, tool: tool, signal: signal, by: by), timeout: timeout)
    }

    /// Installs a tool, and starts it unless its specification says `autostart: false`.
    ///
    /// - Parameters:
    ///   - tool: the tool's name.
    ///   - specification: an object like that of a tool in `mesh.yaml`; `ToolDocument` of the module MeshSupervision reads
    ///     one from a file.
    ///   - timeout: how long to wait for the node's answer.
    @discardableResult
    public func install(
        _ tool: String,
        _ specification: EventData,
        timeout: Duration = .seconds(30)
    ) async throws(MeshEventsError) -> ToolControlResult {
        try await send(ToolRequest(.install, tool: tool, specification: specification, by: by), timeout: timeout)
    }

    /// Replaces a tool's specification, and starts the tool again when it ran.
    @discardableResult
    public func upgrade(
        _ tool: String,
        to specification: EventData,
        timeout: Duration = .seconds(30)
    ) async throws(MeshEventsError) -> ToolControlResult {
        try await send(ToolRequest(.upgrade, tool: tool, specification: specification, by: by), timeout: timeout)
    }

    /// Stops a tool and forgets it.
    @discardableResult
    public func remove(
        _ tool: String,
        timeout: Duration = .seconds(30)
    ) async throws(MeshEventsError) -> ToolControlResult {
        try await send(ToolRequest(.remove, tool: tool, by: by), timeout: timeout)
    }

    /// Asks how a tool is. That changes nothing, and no event tells of it.
    public func status(
        of tool: String,
        timeout: Duration = .seconds(30)
    ) async throws(MeshEventsError) -> ToolControlResult {
        try await send(ToolRequest(.status, tool: tool, by: by), timeout: timeout)
    }

    /// Asks the node for an action; returns when it is done.
    ///
    /// Sent again with the same identity, a request is carried out once; the answer is the same. One that was made so long ago
    /// that the node may have forgotten it is refused (`untimely`).
    ///
    /// - Parameters:
    ///   - request: what to do.
    ///   - timeout: how long that may take. A tool that does not end by itself is killed after its grace period.
    ///   - onAnswer: is called with the node's answer as soon as that has come, unless it is a refusal. Others of that name
    ///     may answer meanwhile, which is known at the end only.
    /// - Throws: `noResponders` when there is no such node, or it takes no requests, as nodes of the Go mesh;
    ///   `timeout`, after which the node may still carry out the request; `serverRefused` with the node's message, which says
    ///   when other nodes have answered, too, and the ``ToolRefusal`` as the underlying error; `invalidArgument` for a request
    ///   that is too large; what sending throws.
    @discardableResult
    public func send(
        _ request: ToolRequest,
        timeout: Duration = .seconds(30),
        onAnswer: (ToolControlResult) async -> Void = { _ in }
    ) async throws(MeshEventsError) -> ToolControlResult {
        // What changes nothing may be done by several.
        let countsOthers = request.action != .status
        return try await send(request, until: .now + timeout, countsOthers: countsOthers, onAnswer)
    }

    private func send(
        _ request: ToolRequest,
        until deadline: ContinuousClock.Instant,
        countsOthers: Bool,
        _ onAnswer: (ToolControlResult) async -> Void
    ) async throws(MeshEventsError) -> ToolControlResult {
        var answer = try await ask(request, until: deadline, countsOthers: countsOthers, onAnswer)
        // With the node's clock it can tell whether it may have seen the request.
        if let made = request.time, let time = answer.answer.time, answer.isUntimely {
            var corrected = request
            corrected.time = made.adding(time.duration(since: .now))
            answer = try await ask(corrected, until: deadline, countsOthers: countsOthers, onAnswer)
        }
        if let refusal = answer.answer.refusal { throw error(refusal, request, answer.others) }
        var result = outcome(answer.answer, request)
        result.otherAnswers = answer.others
        return result
    }

    private func outcome(_ answer: ToolControlAnswer, _ request: ToolRequest) -> ToolControlResult {
        ToolControlResult(
            node: node,
            tool: request.tool,
            state: answer.state ?? ToolState(rawValue: "unknown"),
            version: answer.version,
            pid: answer.pid,
            isReady: answer.isReady,
            lastError: answer.lastError
        )
    }

    private func error(_ refusal: ToolRefusal, _ request: ToolRequest, _ others: Int) -> MeshEventsError {
        var refusal = refusal
        if let warning = ToolControlResult.warning(node, others) {
            refusal = ToolRefusal(refusal.code, "\(refusal.message); \(warning)")
        }
        if refusal.code == .timeout {
            return MeshEventsError(.timeout, refusal.message, underlying: refusal, isRetriable: true)
        }
        var message = refusal.message
        // Nodes before these actions name those that they know.
        if refusal.code == .invalidRequest, !message.contains(request.action.rawValue) {
            message =
                "node \(node.debugDescription) does not know the action \(request.action.rawValue), so it is of an older "
                + "version: \(message)"
        }
        return MeshEventsError(.serverRefused, message, underlying: refusal)
    }

    /// A node's answer, and how many other nodes have answered.
    private struct Answer {
        let answer: ToolControlAnswer
        var others = 0

        var isUntimely: Bool { answer.refusal?.code == .untimely }
    }

    /// Sends a request. Its reply subject is below ``ControlSubject/answers``, the only place where a node may publish
    /// answers; only the sender of this request knows it.
    private func ask(
        _ request: ToolRequest,
        until deadline: ContinuousClock.Instant,
        countsOthers: Bool,
        _ onAnswer: (ToolControlResult) async -> Void
    ) async throws(MeshEventsError) -> Answer {
        let left = max(deadline - .now, .zero)
        // The node answers before the client has given up.
        let text = request.json(timeout: max(left - .milliseconds(500), left / 2))
        guard text.utf8.count <= ToolRequest.maximumBytes else {
            let (size, limit) = (text.utf8.count, ToolRequest.maximumBytes)
            throw MeshEventsError(.invalidArgument, "the request has \(size) bytes, more than \(limit)")
        }
        do {
            let inbox = connection.makeInbox(below: ControlSubject.answers)
            let answers = try await connection.subscribe(
                to: inbox,
                maximumMessages: Self.maximumAnswers,
                timeout: left
            )
            defer { answers.cancel() }
            let start = ContinuousClock.now
            try connection.publish(
                ByteBuffer(string: text),
                to: ControlSubject.tools(of: node),
                replyTo: inbox
            )
            // A server that denies permission reports that before it answers the ping.
            try await connection.flush(timeout: max(deadline - .now, .zero))
            var iterator = answers.makeAsyncIterator()
            let message = try await Self.ending(answers, at: deadline) { () async throws(NATSError) in
                try await iterator.next()
            }
            var answer = Answer(answer: try check(message, deadline))
            guard countsOthers, !answer.isUntimely else {
                if answer.answer.refusal == nil { await onAnswer(outcome(answer.answer, request)) }
                return answer
            }
            let now = ContinuousClock.now
            let wait = min(max(now - start, Self.otherAnswerTime.least), Self.otherAnswerTime.most)
            let end = now + min(wait, (deadline - now) / 2)
            let first = answer.answer
            answer.others = await Self.ending(answers, at: end) {
                if first.refusal == nil { await onAnswer(outcome(first, request)) }
                // A node answers a request once, so they are from other ones. What came meanwhile is kept.
                var others = 0
                while (try? await iterator.next()) != nil { others += 1 }
                return others
            }
            return answer
        } catch let error as NATSError {
            throw MeshEventsError(error)
        } catch let error as MeshEventsError {
            throw error
        } catch {
            throw MeshEventsError(.closed, "the request was interrupted: \(error)")
        }
    }

    /// The answer in the first message.
    ///
    /// - Parameters:
    ///   - message: `nil` when none came.
    ///   - deadline: until when it was waited for.
    private func check(
        _ message: NATSMessage?,
        _ deadline: ContinuousClock.Instant
    ) throws(MeshEventsError) -> ToolControlAnswer {
        guard let message else {
            if Task.isCancelled { throw MeshEventsError(.closed, "the request was interrupted") }
            guard ContinuousClock.now >= deadline else {
                throw MeshEventsError(.closed, "the connection ended before node \(node.debugDescription) answered")
            }
            throw MeshEventsError(
                .timeout,
                "node \(node.debugDescription) did not answer in time; it may still carry out the request",
                isRetriable: true
            )
        }
        guard message.status != 503 else {
            throw MeshEventsError(
                .noResponders,
                "no node \(node.debugDescription) in this mesh takes requests about tools: it does not run, it has another "
                    + "name, or it is a node of the Go mesh, which takes none; `mesh-events status` shows what is known"
            )
        }
        guard let answer = ToolControlAnswer(message.payload.readableBytesView) else {
            throw MeshEventsError(
                .protocolViolation,
                "the answer of node \(node.debugDescription) is no valid answer about a tool"
            )
        }
        return answer
    }

    /// Ends a subscription at a time, unless `body` has ended before.
    private static func ending<Output, Failure: Error>(
        _ answers: NATSSubscription,
        at end: ContinuousClock.Instant,
        _ body: () async throws(Failure) -> Output
    ) async throws(Failure) -> Output {
        let result = await withTaskGroup(of: Void.self) { group -> Result<Output, Failure> in
            group.addTask { if (try? await Task.sleep(until: end)) != nil { answers.cancel() } }
            defer { group.cancelAll() }
            do throws(Failure) {
                return .success(try await body())
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
