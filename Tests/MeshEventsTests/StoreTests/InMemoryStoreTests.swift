import MeshEvents
import MeshEventsTesting
import Testing

/// The stream's limits, with a clock that the test moves.
struct InMemoryStoreTests {
    private let clock = ManualClock()
    private let mesh: InMemoryMesh

    init() {
        mesh = InMemoryMesh(InMemoryMesh.Configuration(now: { [clock] in clock.timestamp }))
    }

    private func open(_ configuration: PersistentEventBus.Configuration = .init()) async throws -> PersistentEventBus {
        try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: InMemoryStore(mesh),
            node: "n",
            configuration: configuration
        )
    }

    @Test func beyondTheMaximumTheOldestGoAndSequencesGoOn() async throws {
        let bus = try await open(PersistentEventBus.Configuration(maximumMessages: 100))
        for number in 0..<3000 { try await bus.emit("user.n", ["seq": .init(number)]) }
        let kept = try await bus.history(limit: 1000)
        #expect(kept.map(\.sequence) == Array(2901...3000))
        let state = try await InMemoryStore(mesh).state()
        #expect(state.messages == 100)
        #expect(state.firstSequence == 2901)
        #expect(state.lastSequence == 3000)
        #expect(state.bytes > 0 && state.bytes < 20_000)
    }

    @Test func eventsOlderThanTheMaximumAgeAreGone() async throws {
        let bus = try await open(PersistentEventBus.Configuration(maximumAge: .seconds(60)))
        try await bus.emit("user.n", ["seq": 1])
        clock.advance(by: .seconds(30))
        try await bus.emit("user.n", ["seq": 2])
        clock.advance(by: .seconds(29))
        #expect(try await bus.history().count == 2)
        clock.advance(by: .seconds(1))
        #expect(try await bus.history().map(\.sequence) == [2])
        clock.advance(by: .seconds(100))
        #expect(try await bus.history().isEmpty)
        let state = try await InMemoryStore(mesh).state()
        #expect(state.messages == 0)
        #expect(state.bytes == 0)
        #expect(state.firstSequence == 3)
        #expect(state.lastSequence == 2)
    }

    @Test func aMessageIDIsForgottenAfterTheDuplicateWindow() async throws {
        let store = InMemoryStore(mesh)
        _ = try await store.open(PersistentEventBus.Configuration())
        func append() async throws -> StoredPosition {
            try await store.append(
                subject: "events.user.n",
                payload: [],
                messageID: "id",
                mayBeStored: true,
                deadline: .seconds(1)
            )
        }
        #expect(try await append().sequence == 1)
        clock.advance(by: .seconds(119))
        #expect(try await append().isDuplicate)
        clock.advance(by: .seconds(1))
        let again = try await append()
        #expect(!again.isDuplicate)
        #expect(again.sequence == 2)
    }

    @Test func sinceIsInclusiveAndCountsTheTimeOfStoring() async throws {
        let bus = try await open()
        for number in 0..<10 {
            try await bus.emit("user.n", ["seq": .init(number)])
            clock.advance(by: .seconds(1))
        }
        let start = ManualClock().timestamp
        let since = start.adding(.seconds(4))
        #expect(try await bus.history(since: since).map(\.sequence) == Array(5...10))
        let justAfter = start.adding(.seconds(4) + .nanoseconds(1))
        #expect(try await bus.history(since: justAfter).map(\.sequence) == Array(6...10))
        let query = EventHistory.Query(since: since, until: start.adding(.seconds(6)))
        #expect(try await bus.history(query).events.map(\.sequence) == [5, 6, 7])
        let oneInstant = EventHistory.Query(since: since, until: since)
        #expect(try await bus.history(oneInstant).events.map(\.sequence) == [5])
    }

    @Test func aStoreIsAboutOneStream() async throws {
        let error = await #expect(throws: MeshEventsError.self) {
            try await InMemoryStore(mesh).open(PersistentEventBus.Configuration(streamName: "OTHER"))
        }
        #expect(error?.code == .invalidArgument)
    }

    @Test func aPayloadAboveTheLimitIsNotStored() async throws {
        let mesh = InMemoryMesh(InMemoryMesh.Configuration(maximumPayload: 200))
        let bus = try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: InMemoryStore(mesh),
            node: "n"
        )
        let error = await #expect(throws: MeshEventsError.self) {
            try await bus.emit("user.n", ["text": .string(String(repeating: "x", count: 300))])
        }
        #expect(error?.code == .payloadTooLarge)
        #expect(try await bus.history().isEmpty)
    }
}
