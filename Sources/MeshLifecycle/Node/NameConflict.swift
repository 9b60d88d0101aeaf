/// A conflict with another live node of the same name.
public struct NameConflict: Sendable, Hashable {
    /// The name both have.
    public let name: String
    /// The host this node runs on.
    public let host: String
    /// The host the other one runs on; empty when it does not publish it.
    public let otherHost: String
    /// The other one's ``MeshNode/instance``; empty when it does not publish it.
    public let otherInstance: String

    /// Creates a description of a conflict.
    public init(name: String, host: String, otherHost: String, otherInstance: String) {
        self.name = name
        self.host = host
        self.otherHost = otherHost
        self.otherInstance = otherInstance
    }
}
