/// What a user of the mesh may do. The server enforces it; see ``MeshPermissions`` for the subjects.
public enum MeshRole: String, Sendable, Hashable, Codable, CaseIterable {
    /// Emits every event, keeps durable subscriptions, creates the mesh's stream, and answers requests about its tools.
    case node
    /// Emits user events, reads all events, keeps durable subscriptions.
    case tool
    /// Reads all events, and emits none.
    case observer
    /// Does everything, the changing and deleting of streams and the control of tools included.
    case admin

    /// What the role is for, in a few words.
    public var summary: String {
        switch self {
        case .node: "emits all events, keeps durables, creates the stream, answers for its tools"
        case .tool: "emits events.user.> only, reads all events, keeps durables"
        case .observer: "reads all events, emits none"
        case .admin: "everything: changes and deletes streams, controls tools"
        }
    }
}
