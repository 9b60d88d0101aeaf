import Foundation
public import Logging
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import MeshLogging
public import NATSClient
import NIOCore

/// Controls a node's tools on requests over the mesh.
///
/// ```swift
/// let control = ToolControl(supervisor: supervisor, node: "atelier", connection: transport.connection)
/// try await control.run()  // until the task is cancelled
/// ```
///
/// Every user who may publish on `mesh.control.tool.<node>` can control the tools: restrict that with the server's
/// permissions. Of the roles of `mesh-events auth`, operators and admins may; a node may listen under its own name only.
///
/// For each request it emits `tool.controlled` through the supervisor, and for one that takes more than two seconds another
/// one then. A request that comes twice is carried out once, and an old one not at all.
public final class ToolControl: Sendable {
    /// How many requests may be under way at once; more are refused.
    static let maximumRequests = 64
    /// How long a client waits that does not say it, and the longest time until the answer.
    private static let (standardPatience, maximumPatience): (Duration, Duration) = (.seconds(30), .seconds(600))
    /// After how long without an end the history has to know of a request.
    private static let longTime: Duration = .seconds(2)

    private struct State {
        var underWay = 0
        var recent = RecentRequests()
        /// How many requests are carried out, so that all of them can have an event.
        var budget = ControlBudget(200, perSecond: 10)
    }

    private let actions: ToolActions
    private let audit: ControlAudit
    private let node: String
    private let connection: NATSConnection
    private let logger: Logger
    private let state = Locked(State())

    /// Creates a control for a node's tools; it answers requests while ``run()`` runs.
    ///
    /// - Parameters:
    ///   - supervisor: runs the tools.
    ///   - node: the node's name in the mesh.
    ///   - connection: the connection for requests and answers.
    ///   - installation: lets requests install, change and remove tools, and so run any program; `nil` refuses that.
    ///   - logger: logs each request.
    public init(
        supervisor: ToolSupervisor,
        node: String,
        connection: NATSConnection,
        installation: ToolInstallation? = nil,
        logger: Logger = Logger(label: "mesh-events.lifecycle")
    ) {
        actions = ToolActions(supervisor: supervisor, installation: installation, node: node)
        audit = ControlAudit(supervisor: supervisor)
        self.node = node
        self.connection = connection
        self.logger = logger
    }

    /// Answers requests until the task is cancelled or the connection is closed.
    ///
    /// - Throws: what subscribing throws: `permissionDenied`, `timeout`, `closed`.
    public func run() async throws(NATSError) {
        let subject = ControlSubject.tools(of: node)
        let requests = try await connection.subscribe(to: subject, maximumMessages: 1_000, maximumBytes: 16 << 20)
        await withDiscardingTaskGroup { group in
            do {
                for try await request in requests {
                    // Ignores requests under another subject: a user without the permission to publish here can make a
                    // stream deliver such messages.
                    guard let replyTo = request.replyTo, request.subject == subject,
                        ControlSubject.isForAnswers(replyTo)
                    else { continue }
                    group.addTask { await self.answer(request, to: replyTo) }
                }
            } catch {
                self.logger.warning(
                    "requests about tools are no longer received",
                    [.error: "\(error)"]
                )
            }
        }
        requests.cancel()
    }

    private func answer(_ message: NATSMessage, to replyTo: String) async {
        let number = state.withLock { state in
            state.underWay += 1
            return state.underWay
        }
        defer { state.withLock { $0.underWay -= 1 } }
        do throws(ToolRefusal) {
            let (request, timeout) = try ToolRequest.read(message.payload.readableBytesView)
            guard number <= Self.maximumRequests else { return refuse(request, busy, to: replyTo) }
            await answer(request, within: min(timeout ?? Self.standardPatience, Self.maximumPatience), to: replyTo)
        } catch {
            refuse(nil, error, to: replyTo)
        }
    }

    private func answer(_ request: ToolRequest, within timeout: Duration, to replyTo: String) async {
        guard request.action != .status else {
            var answer = actions.answer(about: request.tool)
            do throws(ToolRefusal) {
                try await actions.perform(request)
            } catch {
                answer = ToolControlAnswer(refusal: error)
            }
            return send(answer, to: replyTo)
        }
        switch course(of: request) {
        case .refuse(let refusal, let time):
            refuse(request, refusal, time, to: replyTo)
        case .repeatAnswer(let answer):
            await send(answer, within: timeout, to: replyTo)
        case .carryOut(let answer):
            logger.info(
                "a request about a tool came over the mesh",
                [.action: "\(request.action.rawValue)", .tool: "\(request.tool)"]
            )
            // The work goes on after the answer: it cannot be interrupted.
            await withDiscardingTaskGroup { group in
                group.addTask { answer.fulfil(await self.perform(request)) }
                await self.send(answer, within: timeout, to: replyTo)
            }
        }
    }

    /// What is done with a request that changes something.
    private enum Course {
        case carryOut(OneShot<ToolControlAnswer>)
        case repeatAnswer(OneShot<ToolControlAnswer>)
        /// With the node's time, when the request is from another one.
        case refuse(ToolRefusal, Timestamp?)
    }

    private func course(of request: ToolRequest) -> Course {
        state.withLock { state in
            switch state.recent.verdict(on: request) {
            case .repeated(let answer): return .repeatAnswer(answer)
            case .conflict:
                return .refuse(ToolRefusal(.invalidRequest, "another request had the same id; use a new one"), nil)
            case .untimely(let now): return .refuse(untimely(request, now), now)
            case .full: return .refuse(busy, nil)
            case .new: return state.budget.take() ? .carryOut(state.recent.add(request)) : .refuse(busy, nil)
            }
        }
    }

    private func untimely(_ request: ToolRequest, _ now: Timestamp) -> ToolRefusal {
        let minutes = Int(RecentRequests.maximumAge / .seconds(60))
        return ToolRefusal(
            .untimely,
            "the request was made at \(request.time?.description ?? ""), and on node \(node) it is \(now). It takes those of "
                + "its last \(minutes) minutes: an older one may have been carried out before. Look how the tool is, and make "
                + "a new request"
        )
    }

    private func perform(_ request: ToolRequest) async -> ToolControlAnswer {
        let signal = actions.sentSignal(request)
        let refusal = await withTaskGroup(of: Void.self) { group in
            group.addTask {
                guard (try? await Task.sleep(for: Self.longTime)) != nil else { return }
                self.audit.noteAccepted(request, signal: signal)
            }
            var refusal: ToolRefusal?
            do throws(ToolRefusal) {
                try await actions.perform(request)
            } catch {
                refusal = error
            }
            group.cancelAll()
            // What it emits comes before the end.
            await group.waitForAll()
            return refusal
        }
        audit.note(request, signal: signal, refusal)
        return refusal.map { ToolControlAnswer(refusal: $0) } ?? actions.answer(about: request.tool)
    }

    private var busy: ToolRefusal { ToolRefusal(.busy, "node \(node) is busy; try again later") }

    private func refuse(
        _ request: ToolRequest?,
        _ refusal: ToolRefusal,
        _ time: Timestamp? = nil,
        to replyTo: String
    ) {
        if request?.action != .status { audit.note(request, refusal) }
        send(ToolControlAnswer(refusal: refusal, time: time), to: replyTo)
    }

    /// Sends an answer as soon as there is one, or says that there is none yet.
    private func send(_ answer: OneShot<ToolControlAnswer>, within timeout: Duration, to replyTo: String) async {
        let late = ToolRefusal(.timeout, "node \(node) has not finished within \(timeout); it goes on")
        send(await answer.value(until: .now + timeout) ?? ToolControlAnswer(refusal: late), to: replyTo)
    }

    private func send(_ answer: ToolControlAnswer, to replyTo: String) {
        do {
            try connection.publish(ByteBuffer(string: answer.json), to: replyTo)
        } catch {
            logger.warning("a request about a tool could not be answered", [.error: "\(error)"])
        }
    }
}
