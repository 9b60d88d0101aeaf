import MeshEvents
import MeshEventsTesting
import NATSClient
import Testing

/// Names of the last version, which still work and only warn.
@Suite(.timeLimit(.minutes(1)))
struct DeprecatedFormsTests {
    @available(*, deprecated)
    @Test func `subscribing to a type works as before`() async throws {
        let bus = EventBus(transport: InMemoryTransport(), node: "n")
        let subscription = try await bus.subscribe(type: .toolStarted)
        let types = AsyncStream.makeStream(of: EventType.self)
        try await bus.subscribe(type: .toolStarted) { types.continuation.yield($0.type) }
        try bus.emit("user.a")
        try bus.emit(ToolStarted(tool: "t"))
        var iterator = subscription.makeAsyncIterator()
        #expect(try await iterator.next()?.type == .toolStarted)
        var heard = types.stream.makeAsyncIterator()
        #expect(await heard.next() == .toolStarted)
        let error = await #expect(throws: MeshEventsError.self) { try await bus.subscribe(type: "tool.*") }
        #expect(error?.code == .invalidEventType)
        await bus.close()
    }

    @available(*, deprecated)
    @Test func `types have their old names too`() {
        #expect(PersistenceConfiguration.self == PersistentEventBus.Configuration.self)
        #expect(BufferConfiguration.self == EventSubscription.Buffer.self)
        #expect(NATSTLSConfiguration.self == NATSConnection.TLSConfiguration.self)
        #expect(ReplayStart.self == StreamStart.self)
        #expect(DurableStart.self == StreamStart.self)
        #expect(StorePosition.self == StoredPart.Start.self)
        #expect(DurableConfiguration.self == DurableDefinition.self)
        #expect(DurableReconcile.self == DurableSubscription.Configuration.Reconciliation.self)
    }
}
