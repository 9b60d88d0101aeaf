import Locking
package import MeshEvents

/// Knows the mesh by what comes alone, where nothing is kept: what was emitted before, or while the connection was lost, is
/// not known.
package final class LiveMesh: Sendable {
    private let subscription: EventSubscription
    private let mesh = Locked(MeshState())

    /// Begins to listen.
    ///
    /// - Throws: as ``/MeshEvents/EventBus``.
    package init(_ bus: EventBus) async throws(MeshEventsError) {
        subscription = try await bus.subscribe()
    }

    /// The mesh as it is now.
    package var state: MeshState {
        mesh.withLock { mesh in
            mesh.advance(to: .now)
            return mesh
        }
    }

    /// How many events changed nothing because they are not signed by their node.
    package var rejected: UInt64 { subscription.rejected }

    /// Takes in what comes, until the task is cancelled or the connection is closed, and tells what it changes.
    package func run(_ tell: (MeshState.Change) -> Void) async throws(MeshEventsError) {
        for try await event in subscription {
            guard MeshMonitor.patterns.contains(where: { $0.matches(event.type) }) else { continue }
            let change = mesh.withLock { $0.apply(event, receivedAt: .now) }
            if let change { tell(change) }
        }
    }

    /// Ends it.
    package func close() { subscription.cancel() }
}
