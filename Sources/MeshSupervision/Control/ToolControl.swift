import Foundation
public import Logging
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import MeshLogging
public import NATSClient
import NIOCore

/// Starts, stops and restarts a node's tools on requests over the mesh.
///
/// ```swift
/// let control = ToolControl(supervisor: supervisor, node: "atelier", connection: transport.connection)
/// try await control.run()  // until the task is cancelled
/// ```
///
/// Every user who may publish on `mesh.control.tool.<node>` can control the tools: restrict that with the server's
/// permissions. Of the roles of `mesh-events auth`, operators and admins may; a node may listen under its own name only.
public final class ToolControl: Sendable {
    /// How many requests may be under way at once; more are refused.
    private static let maximumRequests = 64

    private let supervisor: ToolSupervisor
    private let node: String
    private let connection: NATSConnection
    private let logger: Logger
    private let underWay = Locked(0)

    /// Creates a control for a node's tools; it answers requests while ``run()`` runs.
    ///
    /// - Parameters:
    ///   - supervisor: runs the tools.
    ///   - node: the node's name in the mesh.
    ///   - connection: the connection for requests and answers.
    ///   - logger: logs each request.
    public init(
        supervisor: ToolSupervisor,
        node: String,
        connection: NATSConnection,
        logger: Logger = Logger(label: "mesh-events.lifecycle")
    ) {
        self.supervisor = supervisor
        self.node = node
        self.connection = connection
        self.logger = logger
    }

    /// Answers requests until the task is cancelled or the connection is closed.
    ///
    /// - Throws: what subscribing throws: `permissionDenied`, `timeout`, `closed`.
    public func run() async throws(NATSError) {
        let subject = ControlSubject.tools(of: node)
        let requests = try await connection.subscribe(to: subject, maximumMessages: 1_000)
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
        let number = underWay.withLock { count in
            count += 1
            return count
        }
        defer { underWay.withLock { $0 -= 1 } }
        let busy = ToolControlAnswer(error: .init(code: "busy", message: "node \(node) is busy; try again later"))
        let answer = number > Self.maximumRequests ? busy : await answer(message)
        do {
            try connection.publish(ByteBuffer(bytes: try JSONEncoder().encode(answer)), to: replyTo)
        } catch {
            logger.warning("a request about a tool could not be answered", [.error: "\(error)"])
        }
    }

    private func answer(_ message: NATSMessage) async -> ToolControlAnswer {
        guard
            let request = try? JSONDecoder().decode(
                ToolControlRequest.self,
                from: Data(message.payload.readableBytesView)
            )
        else {
            let actions = ToolAction.allCases.map(\.rawValue).joined(separator: ", ")
            return ToolControlAnswer(
                error: .init(
                    code: "invalidRequest",
                    message: "the request must be a JSON object with the members action (\(actions)) and tool"
                )
            )
        }
        logger.info(
            "a request about a tool came over the mesh",
            [.action: "\(request.action.rawValue)", .tool: "\(request.tool)"]
        )
        do throws(ToolError) {
            switch request.action {
            case .start: try await supervisor.start(request.tool)
            case .stop: try await supervisor.stop(request.tool, reason: "stopped")
            case .restart: try await supervisor.restart(request.tool)
            }
        } catch {
            return ToolControlAnswer(error: .init(code: error.code.rawValue, message: error.description))
        }
        return ToolControlAnswer(state: supervisor.tool(named: request.tool)?.state.rawValue)
    }
}
