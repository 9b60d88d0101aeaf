import MeshEvents
import MeshEventsTesting
import Testing

/// Both spellings of a pattern, with `events.` and without, wherever one is taken.
@Suite(.timeLimit(.minutes(1)))
struct PatternSpellingTests {
    private let mesh: InMemoryMesh
    private let store: InMemoryStore

    init() {
        mesh = InMemoryMesh()
        store = InMemoryStore(mesh)
    }

    private static let spellings: [EventPattern] = ["tool.*", "events.tool.*"]

    private func open() async throws -> PersistentEventBus {
        try await PersistentEventBus.open(transport: InMemoryTransport(mesh), store: store, node: "n")
    }

    /// Emits events of which one matches.
    private func emit(_ bus: PersistentEventBus) async throws {
        try await bus.emit("user.a")
        try await bus.emit(ToolStarted(tool: "t"))
        try await bus.emit("user.b")
    }

    @Test(arguments: spellings) func `a live subscription takes both`(pattern: EventPattern) async throws {
        let persistent = try await open()
        let first = try await persistent.bus.subscribe(to: pattern)
        let second = try await persistent.subscribe(to: pattern)
        let types = AsyncStream.makeStream(of: EventType.self)
        let third = try await persistent.subscribe(to: pattern) { types.continuation.yield($0.type) }
        try await emit(persistent)
        for subscription in [first, second] {
            var iterator = subscription.makeAsyncIterator()
            #expect(try await iterator.next()?.type == .toolStarted)
            #expect(subscription.received == 1)
        }
        var iterator = types.stream.makeAsyncIterator()
        #expect(await iterator.next() == .toolStarted)
        #expect(third.received == 1)
        await persistent.close()
    }

    @Test(arguments: spellings) func `history and queries take both`(pattern: EventPattern) async throws {
        let persistent = try await open()
        try await emit(persistent)
        let reader = persistent.historyReader
        #expect(try await persistent.history(matching: pattern).map(\.sequence) == [2])
        #expect(try await persistent.history(EventHistory.Query(matching: pattern)).events.map(\.sequence) == [2])
        #expect(try await persistent.history(.init(matching: [pattern])).events.map(\.sequence) == [2])
        #expect(try await reader.newest(matching: pattern).map(\.sequence) == [2])
        #expect(try await persistent.purge(matching: pattern) == 1)
        await persistent.close()
    }

    @Test(arguments: spellings) func `replays take both`(pattern: EventPattern) async throws {
        let persistent = try await open()
        try await emit(persistent)
        let replays = [
            try await persistent.replay(matching: pattern), try await persistent.replay(matching: [pattern]),
            try await EventReplay(store: store).open(matching: pattern),
        ]
        for replay in replays {
            var iterator = replay.makeAsyncIterator()
            #expect(try await iterator.next()?.event?.sequence == 2)
            replay.cancel()
        }
        await persistent.close()
    }

    @Test func `both spellings name the same durable`() async throws {
        let persistent = try await open()
        for pattern in Self.spellings {
            try await emit(persistent)
            let subscription = try await persistent.subscribe(durable: "tools", to: pattern)
            var iterator = subscription.makeAsyncIterator()
            let delivery = try await iterator.next()
            #expect(delivery?.event.type == .toolStarted)
            #expect(delivery?.deliveries == 1)
            try await delivery?.ack()
            try await subscription.drain()
        }
        await persistent.close()
    }

    @Test func `a payload's type is a subscription of a persistent bus too`() async throws {
        let persistent = try await open()
        let subscription = try await persistent.subscribe(to: ToolStarted.self)
        let tools = AsyncStream.makeStream(of: String.self)
        try await persistent.subscribe(to: ToolStarted.self) { tools.continuation.yield($0.tool) }
        try await emit(persistent)
        var iterator = subscription.makeAsyncIterator()
        #expect(try await iterator.next()?.tool == "t")
        var heard = tools.stream.makeAsyncIterator()
        #expect(await heard.next() == "t")
        await persistent.close()
    }
}
