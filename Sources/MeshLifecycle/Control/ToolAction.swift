/// An action that a client can request for a tool of a node.
public enum ToolAction: String, Sendable, Hashable, Codable, CaseIterable {
    /// Start it when it does not run.
    case start
    /// Stop it until a user starts it again.
    case stop
    /// Stop it when it runs, and start it.
    case restart
}
