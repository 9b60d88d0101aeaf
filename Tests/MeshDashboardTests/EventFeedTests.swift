import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import TestSupport
import Testing

@testable import MeshDashboard

@Suite struct EventFeedTests {
    /// A filling that was cancelled and has not ended keeps no other from filling, and leaves no event twice.
    @Test func whatACancelledReadingLeftOutIsReadWithTheNextConnection() async throws {
        let memory = try await MemoryBus.open()
        let (store, kept) = (memory.store, memory.bus)
        for number in 1...5 { _ = try await kept.emit("user.a", ["n": JSONValue(number)]) }
        let slow = SlowFirstReading(store)
        let feed = EventFeed(
            store: slow,
            verification: nil,
            configuration: .init(),
            logger: quiet
        ) { _, _ in }
        let first = Task { await feed.run(live: nil) }
        try await eventually("the first reading") { slow.readings.count == 1 }
        for number in 6...8 { _ = try await kept.emit("user.a", ["n": JSONValue(number)]) }
        try await eventually("the events beside it") { feed.position == 8 }
        first.cancel()
        await first.value
        let second = Task { await feed.run(live: nil) }
        defer { second.cancel() }
        let whole = 0..<Int64.max / 2
        try await eventually("a whole index") { try await feed.histogram(PageFilter(), whole, buckets: 1).isComplete }
        slow.goOn.send()
        try await eventually("the end of the first reading") { slow.ended.count == 1 }
        for number in 9...10 { _ = try await kept.emit("user.a", ["n": JSONValue(number)]) }
        try await eventually("the events after it") { feed.position == 10 }
        let histogram = try await feed.histogram(PageFilter(), whole, buckets: 1)
        #expect(histogram.isComplete && histogram.series.map(\.counts) == [[10]])
    }
}

/// A store whose first reading of all events waits until it may go on, also when its task is cancelled.
private final class SlowFirstReading: ForwardingStore {
    let readings = Counter()
    let ended = Counter()
    let goOn = OneTimeSignal()
    let store: InMemoryStore

    init(_ store: InMemoryStore) { self.store = store }

    func follow(
        matching pattern: EventPattern,
        from start: StreamStart,
        timeout: Duration
    ) async throws(MeshEventsError) -> any StoreFollower {
        if start == .sequence(1), readings.add() == 1 {
            // A task of its own is not cancelled.
            await Task { try? await self.goOn.wait(until: .now + .seconds(60), for: "the test") }.value
            ended.add()
        }
        return try await store.follow(matching: pattern, from: start, timeout: timeout)
    }
}
