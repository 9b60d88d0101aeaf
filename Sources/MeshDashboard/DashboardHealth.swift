import MeshConcurrency
import MeshEvents
import NIOCore

/// The state of the connection and of the event source, and the notice about it for browsers.
final class DashboardHealth: Sendable {
    /// The source of the events that are shown.
    enum Source: Sendable, Equatable {
        /// The stream.
        case stream
        /// The stream, which does not answer at present; the value says why.
        case silentStream(String)
        /// Live events alone: there is no stream.
        case live
        /// None; the value says why.
        case none(String)
    }

    /// Why the state of nodes and tools is not known.
    struct MeshProblem: Sendable, Equatable {
        let reason: String
        /// Since when; `nil` when it was never known.
        let since: Timestamp?

        fileprivate var text: String {
            guard let since else { return "The status of nodes and tools is not known: \(reason)." }
            return "The status of nodes and tools is that of \(since), because it cannot be read: \(reason)."
        }
    }

    /// The note while there is no stream.
    static let unkept =
        "Nothing is kept yet: events are shown here as they arrive, but not stored. To store them, create the stream "
        + "with `mesh-events stream create`, or run a node with `mesh-events serve`; the server needs JetStream for it."

    private struct State: Sendable {
        var connection: String?
        /// Since when no data has come on the connection, although the server was pinged.
        var silence: Timestamp?
        var source = Source.none("The stream has not been read yet.")
        var mesh: MeshProblem?

        var problem: String? {
            if let connection { return "\(connection) \(outlook)" }
            if let silence {
                return
                    "No data has come from the mesh's server since \(silence), although it was pinged: the server or "
                    + "the line has stopped. \(outlook)"
            }
            switch source {
            case .none(let problem): return problem
            case .silentStream(let reason):
                return
                    "The mesh's stream does not answer (\(reason)). Nodes that run may be shown as unreachable. Events from "
                    + "meanwhile are shown once it answers."
            case .stream, .live: return mesh?.text
            }
        }

        /// A sentence on whether events from the outage are shown later or lost.
        private var outlook: String {
            source == .live
                ? "Events from meanwhile \(connection == nil ? "may be lost" : "are not shown"): no stream keeps them."
                : "Events from meanwhile are shown once it is back."
        }

        var note: String? { source == .live ? DashboardHealth.unkept : nil }
    }

    private let state = Locked(State())

    /// Why no events arrive; `nil` when all is well.
    var problem: String? { state.withLock { $0.problem } }

    /// A note that is no problem; `nil` when there is none.
    var note: String? { state.withLock { $0.note } }

    /// The present state as a server-sent event.
    var notice: ByteBuffer { Self.notice(state.withLock { $0 }) }

    /// Notes that the connection to the mesh is up (`nil`) or down.
    ///
    /// - Returns: The server-sent event for the browsers; `nil` when nothing has changed.
    func connection(_ problem: String?) -> ByteBuffer? { change { $0.connection = problem } }

    /// Notes since when no data has come although the server was pinged; `nil` when data comes again.
    ///
    /// - Returns: as ``connection(_:)``.
    func silence(_ since: Timestamp?) -> ByteBuffer? { change { $0.silence = since } }

    /// Notes the source of the events.
    ///
    /// - Returns: as ``connection(_:)``.
    func source(_ source: Source) -> ByteBuffer? { change { $0.source = source } }

    /// Notes why the state of nodes and tools is not known; `nil` when it is.
    ///
    /// - Returns: as ``connection(_:)``.
    func mesh(_ problem: MeshProblem?) -> ByteBuffer? { change { $0.mesh = problem } }

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
