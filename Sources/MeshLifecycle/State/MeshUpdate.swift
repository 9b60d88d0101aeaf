public import MeshEvents

/// A change of the mesh, as ``MeshMonitor/updates()`` hands it over.
public struct MeshUpdate: Sendable, Hashable {
    /// What changed.
    public let change: MeshState.Change
    /// The node after the change.
    public let node: MeshState.Node
    /// The event that changed it; `nil` when time did: the node has become unreachable.
    public let cause: StoredEvent?
}
