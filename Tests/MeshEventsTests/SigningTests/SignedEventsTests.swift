import MeshConcurrency
import MeshEvents
import MeshEventsSigning
import MeshEventsTesting
import Testing

/// Signed events on their ways: live, handlers, history, replay, durables.
struct SignedEventsTests {
    private let mesh = InMemoryMesh()
    private let key = NodeSigningKey.generate()

    private func trust() throws -> TrustList {
        var trust = TrustList()
        try trust.trust("a", key: key.publicKey)
        return trust
    }

    private func bus(
        _ node: String,
        signs: Bool = false,
        _ policy: SignatureVerification.Policy? = nil
    ) throws -> EventBus {
        EventBus(
            transport: InMemoryTransport(mesh),
            node: node,
            configuration: try configuration(signs: signs, policy)
        )
    }

    private func persistent(
        _ node: String,
        signs: Bool = false,
        _ policy: SignatureVerification.Policy? = nil
    ) async throws -> PersistentEventBus {
        try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: InMemoryStore(mesh),
            node: node,
            busConfiguration: try configuration(signs: signs, policy)
        )
    }

    private func configuration(
        signs: Bool,
        _ policy: SignatureVerification.Policy?
    ) throws -> EventBus.Configuration {
        EventBus.Configuration(
            signer: signs ? key : nil,
            verification: try policy.map { SignatureVerification(try trust(), policy: $0) }
        )
    }

    private func isForged(_ signature: EventSignature) -> Bool {
        if case .forged = signature { true } else { false }
    }

    /// Signed by its node, not signed at all, and signed by a node that it is not from.
    private func emitThree() async throws {
        try bus("a", signs: true).emit("user.x", ["n": 1])
        try bus("a").emit("user.x", ["n": 2])
        try bus("b", signs: true).emit("user.x", ["n": 3])
    }

    @Test(arguments: [SignatureVerification.Policy.accept, .warn])
    func everyEventSaysWhatItIs(_ policy: SignatureVerification.Policy) async throws {
        let subscription = try await bus("r", policy).subscribe(to: "events.user.x")
        try await emitThree()
        var iterator = subscription.makeAsyncIterator()
        #expect(try await iterator.next()?.signature == .signed(by: "a"))
        #expect(try await iterator.next()?.signature == .unsigned)
        let third = try #require(try await iterator.next())
        #expect(isForged(third.signature))
        #expect(subscription.rejected == 0)
    }

    @Test func rejectedEventsAreNotDeliveredAndCounted() async throws {
        let receiver = try bus("r", .reject)
        let subscription = try await receiver.subscribe(to: "events.user.x")
        try await emitThree()
        try await receiver.flush()
        try await subscription.drain()
        var numbers: [Int?] = []
        for try await event in subscription { numbers.append(event.data["n"]?.int) }
        #expect(numbers == [1])
        #expect(subscription.rejected == 2)
        #expect(subscription.malformed == 0)
    }

    @Test func handlersAndPayloadsSayItToo() async throws {
        let receiver = try bus("r", .accept)
        let found = Recorded()
        let subscription = try await receiver.subscribe(to: ToolStarted.self) { started in
            found.add("\(started.tool) \(started.event.signature)")
        }
        try bus("a", signs: true).emit(ToolStarted(tool: "whisper"))
        try bus("b").emit(ToolStarted(tool: "piper"))
        try await receiver.flush()
        try await subscription.drain()
        #expect(found.texts == ["whisper signed by a", "piper unsigned"])
    }

    @Test func whoDoesNotVerifySeesTheEventAsEver() async throws {
        let subscription = try await bus("r").subscribe(to: "events.user.x")
        try bus("a", signs: true).emit("user.x", ["n": 1])
        var iterator = subscription.makeAsyncIterator()
        let event = try #require(try await iterator.next())
        #expect(event.signature == .unchecked)
        #expect(event.data == ["n": 1])
    }

    @Test func eventsInAnotherNodesNameAreNotSigned() async throws {
        let subscription = try await bus("r", .accept).subscribe(to: "events.user.x")
        try bus("a", signs: true).emit(Event("user.x", node: "c"))
        var iterator = subscription.makeAsyncIterator()
        #expect(try await iterator.next()?.signature == .unsigned)
    }

    @Test func anEventThatIsEmittedAgainHasNoSignatureOfItsOwn() async throws {
        let relay = try bus("b", .accept)
        let subscription = try await relay.subscribe(to: "events.user.x")
        try bus("a", signs: true).emit("user.x")
        var iterator = subscription.makeAsyncIterator()
        let event = try #require(try await iterator.next())
        #expect(event.signature.isTrusted)
        try relay.emit(event)
        #expect(try await iterator.next()?.signature == .unsigned)
    }

    @Test func largeEventsAreSignedToo() async throws {
        let subscription = try await bus("r", .reject).subscribe(to: "events.user.x")
        try bus("a", signs: true).emit("user.x", ["text": .init(String(repeating: "x", count: 10_000))])
        var iterator = subscription.makeAsyncIterator()
        #expect(try await iterator.next()?.signature == .signed(by: "a"))
    }

    @Test func storedEventsKeepTheirSignature() async throws {
        let signing = try await persistent("a", signs: true)
        try await signing.emit("user.x", ["n": 1])
        try await signing.emit(contentsOf: [Event("user.x", data: ["n": 2])])
        try bus("b").emit("user.x", ["n": 3])
        let accepting = try await persistent("r", .accept)
        let history = try await accepting.history()
        #expect(history.map(\.event.signature) == [.signed(by: "a"), .signed(by: "a"), .unsigned])
        let rejecting = try await persistent("r", .reject)
        let page = try await rejecting.history(EventHistory.Query(limit: 3))
        #expect(page.events.map(\.sequence) == [1, 2])
        #expect(page.rejected == 1 && page.malformed == 0)
        let replay = try await rejecting.replay()
        var replayed: [UInt64] = []
        for try await element in replay {
            guard let stored = element.event else { break }
            replayed.append(stored.sequence)
        }
        #expect(replayed == [1, 2])
        #expect(replay.rejected == 1)
    }

    /// The dead letters of the durable `d`, when there are so many: they are stored beside what readers get.
    private func letters(_ count: Int, _ bus: PersistentEventBus) async throws -> [StoredEvent] {
        let end = ContinuousClock.now + .seconds(20)
        while true {
            let letters = try await bus.history(matching: "events.user.dead_letter.d")
            guard letters.count < count, .now < end else { return letters }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test func aDurableGivesUpWhatIsNotSigned() async throws {
        let consumer = try await persistent("a", signs: true, .reject)
        try bus("b").emit("user.x", ["n": 1])
        try await consumer.emit("user.x", ["n": 2])
        let durable = try await consumer.subscribe(durable: "d", to: "events.user.x")
        var iterator = durable.makeAsyncIterator()
        let delivery = try #require(try await iterator.next())
        #expect(delivery.event.data == ["n": 2])
        #expect(delivery.event.signature == .signed(by: "a"))
        try await delivery.ack()
        #expect(durable.rejected == 1)
        let letters = try await letters(1, consumer)
        // Signed by who gave the event up.
        #expect(letters.map(\.event.signature) == [.signed(by: "a")])
        #expect(letters.first?.event.data["reason"]?.string?.contains("not signed") == true)
        await consumer.close()
    }

    @Test("an event that does not pass a filter is acknowledged, and not given up for its signature")
    func whatDoesNotPassAFilterIsNotGivenUp() async throws {
        let consumer = try await persistent("a", signs: true, .reject)
        try bus("b").emit("user.x", ["n": 1])
        try bus("b").emit("user.x", ["n": 5])
        try await consumer.emit("user.x", ["n": 6])
        let filter = try EventFilter("n > 4")
        let durable = try await consumer.subscribe(
            durable: "d",
            to: "events.user.x",
            configuration: .init(filter: filter)
        )
        var iterator = durable.makeAsyncIterator()
        let delivery = try #require(try await iterator.next())
        #expect(delivery.event.data == ["n": 6])
        try await delivery.ack()
        let letters = try await letters(1, consumer)
        let end = ContinuousClock.now + .seconds(20)
        while durable.skipped < 1, .now < end { try await Task.sleep(for: .milliseconds(5)) }
        #expect(durable.rejected == 1 && durable.skipped == 1)
        #expect(letters.map { $0.event.data["data"]?["n"]?.int } == [5])
        let page = try await consumer.history(EventHistory.Query(matching: "events.user.x", filter: filter))
        #expect(page.events.map(\.sequence) == [3] && page.rejected == 1)
        await consumer.close()
    }

    @Test func aRetryThatIsNotSignedIsNotHeeded() async throws {
        let handler = try await persistent("a", signs: true, .reject)
        try await handler.emit("user.x", ["n": 1])
        let durable = try await handler.subscribe(durable: "d", to: "events.user.x")
        var iterator = durable.makeAsyncIterator()
        try await iterator.next()?.terminate(reason: "why")
        let stranger = try await persistent("b")
        let letter = try #require(try await stranger.deadLetters(of: "d").first)
        #expect(try await stranger.retry(letter).isNew)
        try await handler.emit("user.x", ["n": 2])
        let next = try #require(try await iterator.next())
        #expect(next.event.data == ["n": 2] && next.deadLetter == nil)
        try await next.ack()
        // To the stranger it is asked for; it is taken back, and asked for by a node that signs.
        #expect(try await stranger.discard(letter, reason: "by the wrong one").isNew)
        #expect(try await handler.retry(letter).isNew)
        let retry = try #require(try await iterator.next())
        #expect(retry.deadLetter == letter.sequence && retry.event.signature == .signed(by: "a"))
        try await retry.ack()
        await handler.close()
    }
}

/// Collects what handlers saw.
private final class Recorded: Sendable {
    private let state = Locked<[String]>([])

    var texts: [String] { state.withLock { $0 } }

    func add(_ text: String) { state.withLock { $0.append(text) } }
}
