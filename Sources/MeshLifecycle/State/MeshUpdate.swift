public import MeshEvents

/// A change of the mesh, as ``MeshMonitor/updates()`` delivers it.
public struct MeshUpdate: Sendable, Hashable {
    /// The parts that changed.
    public let change: MeshState.Change
    /// The node after the change.
    public let node: MeshState.Node
    /// The event that caused the change; `nil` when the node became unreachable or silent, or was forgotten.
    public let cause: StoredEvent?
}

extension MeshUpdate {
    /// The approximate size of an update without its texts, in bytes.
    private static let ownBytes = 1_024

    /// The approximate size of a waiting update, in bytes, without what it shares with the state.
    var bytes: Int {
        var bytes = Self.ownBytes + node.name.utf8.count + node.resources.json.utf8.count + node.toolViews.changeBytes
        guard let event = cause?.event else { return bytes }
        bytes += event.data.json.utf8.count
        for field in event.origin?.headers.fields ?? [] { bytes += field.name.utf8.count + field.value.utf8.count }
        return bytes
    }
}
