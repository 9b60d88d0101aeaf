import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import Testing

/// How the history reads its store: how often, how much, and until when.
struct EventHistoryTests {
    @Test func aFullAnswerTakesOneReading() async throws {
        let (bus, store) = try await filled(500) { _ in "n" }
        _ = try await bus.history(limit: 50)
        #expect(store.reads == [50])
    }

    @Test func fewerThanAskedTakesOneReading() async throws {
        let (bus, store) = try await filled(3) { _ in "n" }
        #expect(try await bus.history(limit: 100).count == 3)
        #expect(store.reads == [100])
    }

    @Test func readingsGrowWhenLittleOfWhatComesIsWanted() async throws {
        let (bus, store) = try await filled(5000) { $0 == 0 ? "rare" : "n" }
        let page = try await bus.history(EventHistory.Query(node: "rare", limit: 1))
        #expect(page.events.map(\.sequence) == [1])
        #expect(store.reads.count <= 10, "\(store.reads)")
    }

    @Test("the newest event that passes a filter is found behind 20 000 others, in a few readings")
    func findsWhatPassesFarBack() async throws {
        let (bus, store) = try await filled(20_010) { _ in "n" }
        let filter = try EventFilter("number in 3, 7")
        let page = try await bus.history(EventHistory.Query(filter: filter, limit: 1))
        #expect(page.events.map(\.sequence) == [8])
        #expect(store.reads.count <= 12, "\(store.reads)")
        let next = try #require(EventHistory.Query(filter: filter, limit: 1).next(after: page))
        #expect(try await bus.history(next).events.map(\.sequence) == [4])
    }

    @Test("a node and a filter both have to fit")
    func nodeAndFilter() async throws {
        let (bus, _) = try await filled(100) { $0.isMultiple(of: 2) ? "even" : "odd" }
        let query = EventHistory.Query(node: "odd", filter: try EventFilter("number > 90"))
        #expect(try await bus.history(query).events.map(\.sequence) == [92, 94, 96, 98, 100])
    }

    @Test func aReadingIsBoundedHoweverMuchIsAsked() async throws {
        let (bus, store) = try await filled(10) { _ in "n" }
        #expect(try await bus.history(limit: .max).count == 10)
        #expect(store.reads.allSatisfy { $0 <= 16_384 })
    }

    @Test func aDeadlineThatHasPassedThrowsTimeout() async throws {
        let (bus, _) = try await filled(1) { _ in "n" }
        let error = await #expect(throws: MeshEventsError.self) {
            try await bus.history(EventHistory.Query(timeout: .zero))
        }
        #expect(error?.code == .timeout)
    }

    private func filled(
        _ count: Int,
        node: (Int) -> String
    ) async throws -> (bus: PersistentEventBus, store: ReadCountingStore) {
        let mesh = InMemoryMesh()
        let store = ReadCountingStore(InMemoryStore(mesh))
        let bus = try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: store,
            node: "n",
            configuration: PersistentEventBus.Configuration(maximumMessages: nil)
        )
        try await bus.emit(
            contentsOf: (0..<count).map { Event("user.n", node: node($0), data: ["number": .init($0)]) }
        )
        return (bus, store)
    }
}

/// Remembers how many messages each reading asked for.
private final class ReadCountingStore: ForwardingStore, StreamAdministration {
    let store: InMemoryStore
    private let limits = Locked<[Int]>([])

    init(_ store: InMemoryStore) {
        self.store = store
    }

    var reads: [Int] { limits.withLock { $0 } }

    func willRead(_ limit: Int) async { limits.withLock { $0.append(limit) } }
}
