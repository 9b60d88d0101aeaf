public import MeshEvents
public import MeshEventsTesting

/// A bus with a stream, in memory.
public struct MemoryBus: Sendable {
    /// Where it emits.
    public let mesh: InMemoryMesh
    /// The stream's store.
    public let store: InMemoryStore
    /// The bus.
    public let bus: PersistentEventBus

    /// Opens one on a mesh of its own.
    ///
    /// - Parameters:
    ///   - node: the node that emits.
    ///   - configuration: what the stream keeps.
    public static func open(
        node: String = "attic",
        configuration: PersistentEventBus.Configuration = .init()
    ) async throws -> MemoryBus {
        let mesh = InMemoryMesh()
        let store = InMemoryStore(mesh)
        let bus = try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: store,
            node: node,
            configuration: configuration,
            logger: quiet
        )
        return MemoryBus(mesh: mesh, store: store, bus: bus)
    }
}
