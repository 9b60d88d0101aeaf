import Foundation
public import MeshEvents
import MeshEventsNATS
public import NATSClient
import NIOCore

/// The tools of a node elsewhere in the mesh; see ``ToolControl``.
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

    /// Has the node do something with a tool; returns when it is done.
    ///
    /// - Parameters:
    ///   - action: what to do.
    ///   - tool: the tool's name.
    ///   - timeout: how long that may take. A tool that does not end by itself is killed after its grace period.
    /// - Returns: the tool's state afterwards, as ``ToolStatus/State`` names it.
    /// - Throws: `noResponders` when there is no such node, or it takes no requests; `timeout`; `serverRefused` with the
    ///   node's own words; what sending throws.
    @discardableResult
    public func perform(
        _ action: ToolAction,
        on tool: String,
        timeout: Duration = .seconds(30)
    ) async throws(MeshEventsError) -> String {
        let message: NATSMessage
        do {
            let request = try JSONEncoder().encode(ToolControlRequest(action: action, tool: tool))
            message = try await connection.request(
                ByteBuffer(bytes: request),
                to: ToolControlRequest.subject(node: node),
                timeout: timeout
            )
        } catch let error as NATSError where error.code == .noResponders {
            throw MeshEventsError(
                .noResponders,
                "no node \(node.debugDescription) in this mesh takes requests about tools; is it running, and is that its name?",
                underlying: error
            )
        } catch let error as NATSError {
            throw MeshEventsError(error)
        } catch {
            throw MeshEventsError(.invalidArgument, "the request cannot be written: \(error)")
        }
        guard
            let answer = try? JSONDecoder().decode(
                ToolControlAnswer.self,
                from: Data(message.payload.readableBytesView)
            )
        else {
            throw MeshEventsError(
                .protocolViolation,
                "the answer of node \(node.debugDescription) is not one about a tool"
            )
        }
        if let failure = answer.error { throw MeshEventsError(.serverRefused, failure.message) }
        return answer.state ?? "unknown"
    }
}
