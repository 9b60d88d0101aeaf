import Locking
import MeshEvents
import NIOCore

/// Whether there is something to hear, and if not, why.
final class DashboardHealth: Sendable {
    private struct State {
        var connection: String?
        var stream: String? = "Nothing is known yet."
        var problem: String? { connection ?? stream }
    }

    private let state = Locked(State())

    /// Why there is nothing to hear; `nil` when all is well.
    var problem: String? { state.withLock { $0.problem } }

    /// How it is, for one browser.
    var notice: ByteBuffer { Self.notice(problem) }

    /// The connection to the mesh is there, or not.
    ///
    /// - Returns: What to tell the browsers; `nil` when nothing has changed.
    func connection(_ problem: String?) -> ByteBuffer? { change { $0.connection = problem } }

    /// The stream can be read, or not.
    ///
    /// - Returns: as ``connection(_:)``.
    func stream(_ problem: String?) -> ByteBuffer? { change { $0.stream = problem } }

    private func change(_ body: (inout State) -> Void) -> ByteBuffer? {
        let (before, after) = state.withLock { state in
            let before = state.problem
            body(&state)
            return (before, state.problem)
        }
        return before == after ? nil : Self.notice(after)
    }

    private static func notice(_ problem: String?) -> ByteBuffer {
        let json: EventData = ["up": .bool(problem == nil), "problem": problem.map { .string($0) } ?? .null]
        return ServerSentEvent.buffer("link", json.json.utf8)
    }
}
