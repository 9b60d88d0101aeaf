import Foundation
public import MeshEvents
public import NATSClient
import NIOCore

/// Starts, stops and restarts the tools of another node in the mesh. The node answers with a `ToolControl` of the module
/// MeshSupervision.
///
/// ```swift
/// try await RemoteTools(node: "atelier", connection: transport.connection).perform(.restart, on: "whisper")
/// ```
public struct RemoteTools: Sendable {
    /// The node's name.
    public let node: String
    private let connection: NATSConnection

    /// Names a node; nothing is sent yet.
    public init(node: String, connection: NATSConnection) {
        self.node = node
        self.connection = connection
    }

    /// Asks the node to start, stop or restart a tool; returns when that is done.
    ///
    /// - Parameters:
    ///   - action: what to do.
    ///   - tool: the tool's name.
    ///   - timeout: how long that may take. A tool that does not end by itself is killed after its grace period.
    /// - Returns: the tool's state afterwards, as `ToolStatus.State` of the module MeshSupervision names it.
    /// - Throws: `noResponders` when there is no such node, or it takes no requests, as nodes of the Go mesh;
    ///   `timeout`; `serverRefused` with the node's message; what sending throws.
    @discardableResult
    public func perform(
        _ action: ToolAction,
        on tool: String,
        timeout: Duration = .seconds(30)
    ) async throws(MeshEventsError) -> String {
        let message: NATSMessage
        do {
            let request = try JSONEncoder().encode(ToolControlRequest(action: action, tool: tool))
            message = try await ask(ByteBuffer(bytes: request), until: .now + timeout)
        } catch let error as NATSError {
            throw MeshEventsError(error)
        } catch let error as MeshEventsError {
            throw error
        } catch {
            throw MeshEventsError(.invalidArgument, "the request cannot be written: \(error)")
        }
        guard message.status != 503 else {
            throw MeshEventsError(
                .noResponders,
                "no node \(node.debugDescription) in this mesh takes requests about tools: it does not run, it has another "
                    + "name, or it is a node of the Go mesh, which takes none; `mesh-events status` shows what is known"
            )
        }
        guard
            let answer = try? JSONDecoder().decode(
                ToolControlAnswer.self,
                from: Data(message.payload.readableBytesView)
            )
        else {
            throw MeshEventsError(
                .protocolViolation,
                "the answer of node \(node.debugDescription) is no valid answer about a tool"
            )
        }
        if let failure = answer.error { throw MeshEventsError(.serverRefused, failure.message) }
        return answer.state ?? "unknown"
    }

    /// Sends a request. Its reply subject is below ``ControlSubject/answers``, the only place where a node may publish
    /// answers; only the sender of this request knows it.
    private func ask(_ request: ByteBuffer, until deadline: ContinuousClock.Instant) async throws -> NATSMessage {
        let inbox = connection.makeInbox(below: ControlSubject.answers)
        let answers = try await connection.subscribe(
            to: inbox,
            maximumMessages: 1,
            timeout: max(deadline - .now, .zero)
        )
        defer { answers.cancel() }
        try connection.publish(request, to: ControlSubject.tools(of: node), replyTo: inbox)
        // A server that denies permission reports that before it answers the ping.
        try await connection.flush(timeout: max(deadline - .now, .zero))
        return try await withThrowingTaskGroup(of: NATSMessage?.self) { group in
            group.addTask {
                var iterator = answers.makeAsyncIterator()
                return try await iterator.next()
            }
            group.addTask {
                try await Task.sleep(until: deadline)
                throw MeshEventsError(
                    .timeout,
                    "node \(node.debugDescription) did not answer in time; it may still carry out the request",
                    isRetriable: true
                )
            }
            defer { group.cancelAll() }
            guard let answer = try await group.next() ?? nil else {
                throw MeshEventsError(.closed, "the connection ended before node \(node.debugDescription) answered")
            }
            return answer
        }
    }
}

/// An action that a client can request for a tool of a node.
public enum ToolAction: String, Sendable, Hashable, Codable, CaseIterable {
    /// Start it when it does not run.
    case start
    /// Stop it until a user starts it again.
    case stop
    /// Stop it when it runs, and start it.
    case restart
}

/// A request to a node about one of its tools: JSON on `mesh.control.tool.<node>`, outside `events.`, so that it is not
/// stored.
package struct ToolControlRequest: Codable, Sendable {
    package var action: ToolAction
    package var tool: String

    package init(action: ToolAction, tool: String) {
        self.action = action
        self.tool = tool
    }
}

/// The node's answer: the state of the tool, or the error.
package struct ToolControlAnswer: Codable, Sendable {
    package var state: String?
    package var error: Failure?

    package init(state: String? = nil, error: Failure? = nil) {
        self.state = state
        self.error = error
    }

    package struct Failure: Codable, Sendable {
        /// A code of the node's `ToolError`, `invalidRequest` or `busy`.
        package var code: String
        package var message: String

        package init(code: String, message: String) {
            self.code = code
            self.message = message
        }
    }
}
