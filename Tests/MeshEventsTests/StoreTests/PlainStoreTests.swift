import MeshEvents
import MeshEventsTesting
import Testing

/// A store with nothing but what every store must have.
struct PlainStore: ForwardingStore {
    let store: InMemoryStore

    init(_ store: InMemoryStore) { self.store = store }
}

/// What a bus says of a store that keeps messages and can do nothing else.
struct PlainStoreTests {
    private let mesh = InMemoryMesh()

    private func open(_ configuration: PersistentEventBus.Configuration = .init()) async throws -> PersistentEventBus {
        try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: PlainStore(InMemoryStore(mesh)),
            node: "n",
            configuration: configuration
        )
    }

    private func refused(_ part: String, _ body: () async throws -> Void) async {
        let error = await #expect(throws: MeshEventsError.self) { try await body() }
        #expect(error?.code == .persistenceUnavailable)
        #expect(error?.message.contains("PlainStore") == true && error?.message.contains(part) == true)
    }

    @Test func itsStreamMustExist() async throws {
        let error = await #expect(throws: MeshEventsError.self) { try await open() }
        #expect(error?.code == .streamNotFound)
        _ = try await InMemoryStore(mesh).open(.init())
        #expect(try await open().opening == StoreOpening(created: false, differences: []))
        let other = await #expect(throws: MeshEventsError.self) { try await open(.init(streamName: "OTHER")) }
        #expect(other?.code == .invalidArgument)
    }

    @Test func eachMissingPartIsNamed() async throws {
        _ = try await InMemoryStore(mesh).open(.init())
        let bus = try await open()
        await refused("DurableEventStore") { _ = try await bus.subscribe(durable: "d") }
        await refused("DurableEventStore") { try await bus.deleteDurable("d") }
        await refused("StreamAdministration") { _ = try await bus.report() }
        await refused("StreamAdministration") { try await bus.purge(matching: .all) }
        await refused("StreamAdministration") { _ = try await open(.init(reconcile: .update)) }
    }
}
