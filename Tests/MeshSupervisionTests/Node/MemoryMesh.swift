import MeshEvents
import MeshEventsTesting
import MeshSupervision
import TestSupport

/// An in-memory mesh on a clock that the test moves.
struct MemoryMesh {
    let clock = ManualClock()
    let store: FlakyStore
    let bus: PersistentEventBus
    private let mesh: InMemoryMesh

    init(node: String = "attic") async throws {
        mesh = InMemoryMesh(.init(clock: clock))
        store = FlakyStore(InMemoryStore(mesh))
        bus = try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: store,
            node: node,
            logger: quiet
        )
    }

    /// The bus of another process.
    func another(node: String = "attic") async throws -> PersistentEventBus {
        try await PersistentEventBus.open(transport: InMemoryTransport(mesh), store: store, node: node, logger: quiet)
    }

    func emitter(_ configuration: LifecycleEmitter.Configuration = .init()) -> LifecycleEmitter {
        LifecycleEmitter(bus: bus, configuration: configuration, clock: clock, now: { clock.timestamp }, logger: quiet)
    }

    func node(
        _ configuration: MeshNode.Configuration = .init(jitter: 0),
        reconnections: AsyncStream<Void>? = nil,
        bus: PersistentEventBus? = nil
    ) -> MeshNode {
        MeshNode(
            bus: bus ?? self.bus,
            configuration: configuration,
            reconnections: reconnections,
            clock: clock,
            now: { clock.timestamp },
            logger: quiet
        )
    }

    func events(_ pattern: EventPattern = .all) async throws -> [Event] {
        try await bus.history(matching: pattern, limit: 10_000).map(\.event)
    }

    /// Moves the clock once `sleepers` tasks sleep on it.
    func advance(by duration: Duration, sleepers: Int = 1) async throws {
        try await eventually("\(sleepers) sleepers") { clock.sleepers >= sleepers }
        clock.advance(by: duration)
    }
}
