import Locking
import MeshEvents
import NIOCore

/// Whether there is something to hear, and if not, why.
final class DashboardHealth: Sendable {
    /// Where what is told comes from.
    enum Source: Sendable, Equatable {
        /// The stream.
        case stream
        /// What comes alone: there is no stream.
        case live
        /// From nowhere, and why.
        case none(String)
    }

    /// What is said while there is no stream.
    static let unkept =
        "Nothing is kept yet: what comes is shown here, and forgotten. `mesh-events stream create` keeps it from then on; so "
        + "does a node that runs `mesh-events serve`."

    private struct State: Sendable {
        var connection: String?
        /// Since when nothing has come on the connection, although the server was asked.
        var silence: Timestamp?
        var source = Source.none("Nothing is known yet.")

        var problem: String? {
            if let connection { return "\(connection) \(outlook)" }
            if let silence {
                return
                    "Nothing has come from the mesh's server since \(silence), although it was asked: it or the line has "
                    + "stopped. \(outlook)"
            }
            if case .none(let problem) = source { return problem }
            return nil
        }

        /// What becomes of events while there is no connection.
        private var outlook: String {
            source == .live
                ? "What comes meanwhile \(connection == nil ? "may be lost" : "is not shown"): nothing keeps it."
                : "What comes meanwhile is shown once it is back."
        }

        var note: String? { source == .live ? DashboardHealth.unkept : nil }
    }

    private let state = Locked(State())

    /// Why there is nothing to hear; `nil` when all is well.
    var problem: String? { state.withLock { $0.problem } }

    /// What else is to be known.
    var note: String? { state.withLock { $0.note } }

    /// How it is, for one browser.
    var notice: ByteBuffer { Self.notice(state.withLock { $0 }) }

    /// The connection to the mesh is there, or not.
    ///
    /// - Returns: What to tell the browsers; `nil` when nothing has changed.
    func connection(_ problem: String?) -> ByteBuffer? { change { $0.connection = problem } }

    /// Nothing has come since then although the server was asked, or something comes again.
    ///
    /// - Returns: as ``connection(_:)``.
    func silence(_ since: Timestamp?) -> ByteBuffer? { change { $0.silence = since } }

    /// What is told comes from there.
    ///
    /// - Returns: as ``connection(_:)``.
    func source(_ source: Source) -> ByteBuffer? { change { $0.source = source } }

    private func change(_ body: (inout State) -> Void) -> ByteBuffer? {
        let (before, after) = state.withLock { state in
            let before = state
            body(&state)
            return (before, state)
        }
        return before.problem == after.problem && before.note == after.note ? nil : Self.notice(after)
    }

    private static func notice(_ state: State) -> ByteBuffer {
        let json: EventData = [
            "up": .bool(state.problem == nil), "problem": state.problem.map { .string($0) } ?? .null,
            "kept": .bool(state.source != .live), "note": state.note.map { .string($0) } ?? .null,
        ]
        return ServerSentEvent.buffer("link", json.json.utf8)
    }
}
