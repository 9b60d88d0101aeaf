import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import Testing

/// What a server that was killed delivers again although it was answered.
@Suite(.timeLimit(.minutes(1)))
struct RepeatedDeliveryTests {
    private static let count = 50

    /// Delivers the first events once more, and confirms an answer to such a delivery only when all of them are answered.
    private final class ForgetfulConsumer: DurableConsumer {
        private let consumer: any DurableConsumer
        private let state = Locked((delivered: [DurableMessage](), isDue: false, answered: 0))
        private let allAnswered = OneTimeSignal()

        init(_ consumer: any DurableConsumer) { self.consumer = consumer }

        func fetch(_ limit: Int, wait: Duration) async throws(MeshEventsError) -> [DurableMessage] {
            let messages = try await consumer.fetch(limit, wait: wait)
            return state.withLock { state in
                guard state.delivered.count >= RepeatedDeliveryTests.count else {
                    state.delivered += messages
                    return messages
                }
                guard !state.isDue, !messages.isEmpty else { return messages }
                state.isDue = true
                let repeated = state.delivered.map {
                    DurableMessage(stored: $0.stored, deliveries: 2, token: "lost " + $0.token)
                }
                return messages + repeated
            }
        }

        func answer(
            _ message: DurableMessage,
            _ answer: DurableAnswer,
            deadline: Duration
        ) async throws(MeshEventsError) {
            guard message.token.hasPrefix("lost ") else {
                return try await consumer.answer(message, answer, deadline: deadline)
            }
            let isLast = state.withLock { state in
                state.answered += 1
                return state.answered == state.delivered.count
            }
            if isLast { allAnswered.send() }
            guard await allAnswered.value(until: .now + .seconds(30)) != nil else {
                throw MeshEventsError(.timeout, "it is not confirmed", isRetriable: true)
            }
        }

        func extend(_ message: DurableMessage) { consumer.extend(message) }
    }

    private struct ForgetfulStore: ForwardingStore, DurableEventStore, StreamAdministration {
        let store: InMemoryStore

        func openDurable(
            _ configuration: DurableDefinition,
            reconcile: DurableSubscription.Configuration.Reconciliation
        ) async throws(MeshEventsError) -> any DurableConsumer {
            ForgetfulConsumer(try await store.openDurable(configuration, reconcile: reconcile))
        }
    }

    /// Whether so many events are handled within less than it takes to give up one answer.
    private func arrived(_ count: Int, _ handled: Locked<[UInt64]>) async -> Bool {
        let end = ContinuousClock.now + .seconds(20)
        while handled.withLock({ $0.count }) < count, .now < end { try? await Task.sleep(for: .milliseconds(5)) }
        return handled.withLock { $0.count } >= count
    }

    @Test("answers to repeated deliveries are sent together, and hold up nothing for longer than one")
    func together() async throws {
        let mesh = InMemoryMesh()
        let bus = try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: ForgetfulStore(store: InMemoryStore(mesh)),
            node: "n"
        )
        let handled = Locked<[UInt64]>([])
        let durable = try await bus.subscribe(durable: "d") { delivery in
            handled.withLock { $0.append(delivery.sequence) }
        }
        try await bus.emit(contentsOf: (0..<Self.count).map { _ in Event("user.a") })
        try #require(await arrived(Self.count, handled))
        try await bus.emit("user.a")
        try #require(await arrived(Self.count + 1, handled))
        try await bus.emit("user.a")
        try #require(await arrived(Self.count + 2, handled))
        #expect(handled.withLock { Set($0).count } == Self.count + 2)
        durable.cancel()
    }
}
