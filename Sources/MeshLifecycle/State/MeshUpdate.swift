public import MeshEvents

/// A change of the mesh, as ``MeshMonitor/updates()`` hands it over.
public struct MeshUpdate: Sendable, Hashable {
    /// What changed.
    public let change: MeshState.Change
    /// The node after the change.
    public let node: MeshState.Node
    /// The event that changed it; `nil` when time did: the node has become unreachable or silent.
    public let cause: StoredEvent?
}

extension MeshUpdate {
    /// What one takes besides the texts in it, in bytes, about.
    private static let ownBytes = 1_024

    /// What it takes while it waits, in bytes, about: what it shares with the state is not counted.
    var bytes: Int {
        var bytes = Self.ownBytes + node.name.utf8.count + node.resources.json.utf8.count + node.toolViews.changeBytes
        guard let event = cause?.event else { return bytes }
        bytes += event.data.json.utf8.count
        for field in event.origin?.headers.fields ?? [] { bytes += field.name.utf8.count + field.value.utf8.count }
        return bytes
    }
}
