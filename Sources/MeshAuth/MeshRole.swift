/// What a user of the mesh may do. The server enforces it; see ``MeshPermissions`` for the subjects.
public enum MeshRole: String, Sendable, Hashable, Codable, CaseIterable {
    /// Emits every event, reads all events, takes those of the durables listed for it, and answers requests about its
    /// own tools.
    case node
    /// Emits user events, reads all events, takes those of the durables listed for it.
    case tool
    /// Reads all events, and emits none.
    case observer
    /// Does everything: creates, changes and deletes streams, durables and other consumers, controls tools.
    case admin

    /// What the role is for, in a few words.
    public var summary: String {
        switch self {
        case .node: "emits all events, reads all, takes those of its durables, answers for its own tools"
        case .tool: "emits events.user.> only, reads all events, takes those of its durables"
        case .observer: "reads all events, emits none"
        case .admin: "everything: creates and deletes streams and durables, controls tools"
        }
    }
}
