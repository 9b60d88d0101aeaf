import MeshEvents
import TestSupport
import Testing

@testable import MeshMonitoring

@Suite(.timeLimit(.minutes(1))) struct UpdateQueueTests {
    private func update(_ number: Int, bytes: Int = 0) throws -> MeshUpdate {
        var state = MeshState()
        let change = state.apply(Mesh.joined(0, node: "n\(number)"))
        let event = Mesh.joined(0, node: "n\(number)", ["text": .string(String(repeating: "x", count: bytes))])
        return MeshUpdate(
            change: try #require(change),
            node: try #require(state.node("n\(number)")),
            cause: StoredEvent(event: event, sequence: UInt64(number + 1), storedAt: Mesh.start)
        )
    }

    @Test func theOldestAreLostBeyondSoManyBytes() async throws {
        let queue = UpdateQueue(capacity: 1_000, maximumBytes: 1 << 20)
        for number in 0..<100 { queue.add(try update(number, bytes: 100_000)) }
        #expect(queue.bytes <= 1 << 20 && queue.missed == 90)
        for number in 90..<100 { #expect(await queue.next()?.node.name == "n\(number)") }
        #expect(queue.bytes == 0)
        // The newest is kept, however large.
        queue.add(try update(7))
        queue.add(try update(8, bytes: 2 << 20))
        #expect(await queue.next()?.node.name == "n8")
    }

    @Test func theOldestAreLostBeyondSoMany() async throws {
        let queue = UpdateQueue(capacity: 10, maximumBytes: 1 << 30)
        for number in 0..<1_000 { queue.add(try update(number)) }
        #expect(queue.missed == 990)
        for number in 990..<1_000 { #expect(await queue.next()?.node.name == "n\(number)") }
    }

    @Test func whoWaitsIsServedOrCancelledOrToldOfTheEnd() async throws {
        let queue = UpdateQueue(capacity: 10, maximumBytes: 1 << 20)
        let served = Task { await queue.next() }
        queue.add(try update(1))
        #expect(await served.value?.node.name == "n1")
        let cancelled = Task { await queue.next() }
        cancelled.cancel()
        #expect(await cancelled.value == nil)
        queue.add(try update(2))
        queue.finish()
        queue.add(try update(3))
        #expect(await queue.next()?.node.name == "n2")
        #expect(await queue.next() == nil)
    }
}
