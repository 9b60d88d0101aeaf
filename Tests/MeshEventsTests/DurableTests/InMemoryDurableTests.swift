import MeshEvents
import MeshEventsTesting
import Testing

/// Durable subscriptions in memory, by a clock that the test moves.
@Suite(.timeLimit(.minutes(1)))
struct InMemoryDurableTests {
    private let clock = ManualClock()
    private let mesh: InMemoryMesh
    private let store: InMemoryStore

    init() {
        mesh = InMemoryMesh(InMemoryMesh.Configuration(clock: clock))
        store = InMemoryStore(mesh)
    }

    private func bus() async throws -> PersistentEventBus {
        try await PersistentEventBus.open(transport: InMemoryTransport(mesh), store: store, node: "n")
    }

    private func consumer(_ name: String = "d", wait: Duration = .seconds(30)) async throws -> any DurableConsumer {
        let configuration = DurableDefinition(
            name: name,
            pattern: .all,
            start: .beginning,
            acknowledgementWait: wait,
            maximumDeliveries: 5
        )
        return try await store.openDurable(configuration, reconcile: .fail)
    }

    @Test func aDeliveryComesAgainWhenItsWaitIsOverToTheNanosecond() async throws {
        let bus = try await bus()
        try await bus.emit("user.a")
        let consumer = try await consumer()
        #expect(try await consumer.fetch(5, wait: .zero).map(\.deliveries) == [1])
        clock.advance(by: .seconds(30) - .nanoseconds(1))
        #expect(try await consumer.fetch(5, wait: .zero).isEmpty)
        clock.advance(by: .nanoseconds(1))
        #expect(try await consumer.fetch(5, wait: .zero).map(\.deliveries) == [2])
    }

    /// The subscription ends while its task still takes in what it has fetched: all of it goes back, and comes in order.
    @Test func whatIsHandedBackAtTheEndComesInOrder() async throws {
        try await withThrowingTaskGroup { group in
            for _ in 0..<40 { group.addTask { try await Self.handsBackInOrder() } }
            try await group.waitForAll()
        }
    }

    private static func handsBackInOrder() async throws {
        let mesh = InMemoryMesh()
        let store = InMemoryStore(mesh)
        let bus = try await PersistentEventBus.open(transport: InMemoryTransport(mesh), store: store, node: "n")
        try await bus.emit(contentsOf: (0..<200).map { _ in Event("user.a") })
        let durable = try await bus.subscribe(durable: "d")
        var iterator = durable.makeAsyncIterator()
        try await iterator.next()?.ack()
        try await durable.drain()
        let configuration = DurableDefinition(
            name: "d",
            pattern: .all,
            start: .beginning,
            acknowledgementWait: .seconds(30),
            maximumDeliveries: 5
        )
        let rest = try await store.openDurable(configuration, reconcile: .update).fetch(300, wait: .zero)
        #expect(rest.map(\.stored.sequence) == Array(2...200))
        await bus.close()
    }

    @Test func inProgressBeginsTheWaitAnewAndADelayIsKept() async throws {
        let bus = try await bus()
        try await bus.emit("user.a")
        let consumer = try await consumer()
        let message = try #require(try await consumer.fetch(1, wait: .zero).first)
        clock.advance(by: .seconds(29))
        consumer.extend(message)
        clock.advance(by: .seconds(29))
        #expect(try await consumer.fetch(1, wait: .zero).isEmpty)
        try await consumer.answer(message, .redeliver(after: .seconds(600)), deadline: .seconds(1))
        clock.advance(by: .seconds(599))
        #expect(try await consumer.fetch(1, wait: .zero).isEmpty)
        clock.advance(by: .seconds(1))
        #expect(try await consumer.fetch(1, wait: .zero).map(\.deliveries) == [2])
        try await consumer.answer(message, .acknowledge, deadline: .seconds(1))
        clock.advance(by: .seconds(100_000))
        #expect(try await consumer.fetch(1, wait: .zero).isEmpty)
    }

    @Test func aReaderThatWaitsIsWokenByTheClockAndByWhatIsStored() async throws {
        let bus = try await bus()
        try await bus.emit("user.a")
        let consumer = try await consumer()
        _ = try await consumer.fetch(1, wait: .zero)
        let waiting = Task { try await consumer.fetch(5, wait: .seconds(30)) }
        while clock.sleepers == 0 { await Task.yield() }
        clock.advance(by: .seconds(30))
        let again = try await waiting.value
        #expect(again.map(\.deliveries) == [2])
        try await consumer.answer(again[0], .acknowledge, deadline: .seconds(1))
        async let next = consumer.fetch(5, wait: .seconds(30))
        try await bus.emit("user.b")
        #expect(try await next.map(\.stored.sequence) == [2])
    }

    @Test func anEventThatTheLimitsDroppedDoesNotComeAgain() async throws {
        let bus = try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: store,
            node: "n",
            configuration: PersistentEventBus.Configuration(maximumMessages: 2)
        )
        try await bus.emit("user.a")
        let consumer = try await consumer()
        #expect(try await consumer.fetch(1, wait: .zero).count == 1)
        for _ in 0..<3 { try await bus.emit("user.b") }
        clock.advance(by: .seconds(60))
        #expect(try await consumer.fetch(9, wait: .zero).map(\.stored.sequence) == [3, 4])
    }

    @Test func deadLettersOfADurableDoNotFeedItAndThoseOfOthersEndThere() async throws {
        let bus = try await bus()
        try await bus.emit("user.bad")
        let configuration = DurableSubscription.Configuration(redelivery: .constant(.zero), maximumDeliveries: 2)
        struct No: Error {}
        // Two that fail for everything, dead letters of each other included.
        let first = try await bus.subscribe(durable: "first", configuration: configuration) { _ in throw No() }
        let second = try await bus.subscribe(durable: "second", configuration: configuration) { _ in throw No() }
        let deadline = ContinuousClock.now + .seconds(20)
        while first.failed + second.failed < 8, .now < deadline { try await Task.sleep(for: .milliseconds(5)) }
        try await bus.emit("user.last")
        while first.deadLettered + second.deadLettered < 4, .now < deadline {
            try await Task.sleep(for: .milliseconds(5))
        }
        while first.failed + second.failed < 16, .now < deadline { try await Task.sleep(for: .milliseconds(5)) }
        try await first.drain()
        try await second.drain()
        let types = try await bus.history(limit: 1000).map(\.event.type.rawValue)
        #expect(types.filter { $0.hasPrefix("user.dead_letter.") }.count == 4, "\(types)")
        #expect(first.failed + second.failed == 16)
    }
}
