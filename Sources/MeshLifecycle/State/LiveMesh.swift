import Locking
package import MeshEvents

/// Knows the mesh by what comes alone, where nothing is kept: what was emitted before, or while the connection was lost, is
/// not known.
package final class LiveMesh: Sendable {
    private let subscription: EventSubscription
    private let takesSignedOnly: Bool
    private let mesh = Locked(MeshState())
    private let unsigned = Locked<UInt64>(0)

    /// Begins to listen.
    ///
    /// - Parameters:
    ///   - bus: where to listen.
    ///   - buffer: how much may wait to be taken in; the bus's when `nil`.
    ///   - takesSignedOnly: whether only events whose signature the bus has found to hold tell how the mesh is.
    /// - Throws: as ``/MeshEvents/EventBus``.
    package init(
        _ bus: EventBus,
        buffer: BufferConfiguration? = nil,
        takesSignedOnly: Bool = false
    ) async throws(MeshEventsError) {
        subscription = try await bus.subscribe(buffer: buffer)
        self.takesSignedOnly = takesSignedOnly
    }

    /// The mesh as it is now.
    package var state: MeshState {
        var mesh = mesh.withLock { $0 }
        mesh.advance(to: .now)
        return mesh
    }

    /// How many events changed nothing because they are not signed by their node.
    package var rejected: UInt64 { subscription.rejected + unsigned.withLock { $0 } }

    /// How many events were lost because more came than could be taken in.
    package var dropped: UInt64 { subscription.dropped }

    /// Takes in what comes, until the task is cancelled or the connection is closed.
    ///
    /// - Parameters:
    ///   - hear: gets every event, whatever it is about.
    ///   - tell: gets what it changes in the mesh.
    package func run(
        hear: (Event) -> Void = { _ in },
        tell: (MeshState.Change) -> Void
    ) async throws(MeshEventsError) {
        for try await event in subscription {
            hear(event)
            guard MeshMonitor.patterns.contains(where: { $0.matches(event.type) }) else { continue }
            guard !takesSignedOnly || event.signature.isTrusted else {
                unsigned.withLock { $0 += 1 }
                continue
            }
            let change = mesh.withLock { $0.apply(event, receivedAt: .now) }
            if let change { tell(change) }
        }
    }

    /// Lets the time pass.
    ///
    /// - Returns: The nodes that have become unreachable or silent since the last call.
    package func advance() -> [MeshState.Change] { mesh.withLock { $0.advance(to: .now) } }

    /// Ends it.
    package func close() { subscription.cancel() }
}
