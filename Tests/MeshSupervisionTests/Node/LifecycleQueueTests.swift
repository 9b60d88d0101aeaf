import MeshEvents
import Testing

@testable import MeshSupervision

@Suite("The queue of lifecycle events")
struct LifecycleQueueTests {
    private let start = Timestamp(nanosecondsSinceEpoch: 1_000_000_000_000)

    private func event(_ number: Int) -> Event { Event("user.n", data: ["n": JSONValue(number)]) }

    private func numbers(_ queue: LifecycleQueue) -> [Int] { queue.rest.compactMap { $0.data["n"]?.int } }

    private func expect(
        _ admission: LifecycleQueue.Admission,
        _ expected: LifecycleQueue.Admission,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(admission == expected, sourceLocation: sourceLocation)
    }

    @Test("events come out in order, through many rounds")
    func order() {
        var queue = LifecycleQueue(capacity: 10_000)
        var next = 0
        for number in 0..<5000 {
            expect(queue.append(event(number), at: start.adding(.seconds(number))), .taken)
            if number % 3 == 0 { continue }
            #expect(queue.front?.event.data["n"]?.int == next)
            queue.frontStored()
            next += 1
        }
        #expect(numbers(queue) == Array(next..<5000))
        #expect(queue.waiting == 5000 - next)
        #expect(queue.stored == UInt64(next))
        while queue.front != nil { queue.frontStored() }
        #expect(queue.stored == 5000)
        #expect(queue.waiting == 0)
    }

    @Test("a full queue loses the oldest but the one that is being stored, and counts")
    func overflow() {
        var queue = LifecycleQueue(capacity: 3)
        for number in 0..<3 { expect(queue.append(event(number), at: start), .taken) }
        expect(queue.append(event(3), at: start), .replacedOldest(overflowed: 1))
        expect(queue.append(event(4), at: start), .replacedOldest(overflowed: 2))
        #expect(numbers(queue) == [0, 3, 4])
        #expect(queue.overflowed == 2)
    }

    @Test("a snapshot replaces the one that waits, but not the front, and goes to the end")
    func snapshots() {
        var queue = LifecycleQueue(capacity: 4)
        func snapshot(_ number: Int) {
            expect(queue.append(event(number), at: start, shorten: { _, _ in nil }), .taken)
        }
        snapshot(0)
        snapshot(1)
        #expect(numbers(queue) == [0, 1])
        expect(queue.append(event(2), at: start), .taken)
        snapshot(3)
        #expect(numbers(queue) == [0, 2, 3])
        let third = queue.newest
        expect(queue.append(event(4), at: start), .taken)
        for number in 5..<100 { snapshot(number) }
        #expect(numbers(queue) == [0, 2, 4, 99])
        #expect(queue.overflowed == 0)
        queue.frontStored()
        queue.frontStored()
        #expect(!queue.isSettled(queue.newest))
        #expect(queue.isSettled(third))
        queue.frontStored()
        snapshot(100)
        #expect(numbers(queue) == [99, 100])
    }

    @Test("settled means stored, refused or lost, and nothing earlier waiting")
    func settling() {
        var queue = LifecycleQueue(capacity: 2)
        #expect(queue.isSettled(queue.newest))
        _ = queue.append(event(0), at: start)
        let first = queue.newest
        _ = queue.append(event(1), at: start)
        let second = queue.newest
        #expect(!queue.isSettled(first))
        queue.frontStored()
        #expect(queue.isSettled(first))
        #expect(!queue.isSettled(second))
        queue.frontRefused(MeshEventsError(.payloadTooLarge, "too large"))
        #expect(queue.isSettled(second))
        #expect(queue.refused == 1)
        #expect(queue.lastError?.code == .payloadTooLarge)
    }

    @Test("times keep the order of events, also when the clock is set back a little")
    func times() {
        var queue = LifecycleQueue(capacity: 10)
        let times: [Duration] = [.zero, .zero, .milliseconds(-500), .seconds(5), .seconds(-60), .seconds(-60)]
        for time in times { _ = queue.append(event(0), at: start.adding(time)) }
        #expect(
            queue.rest.map { $0.timestamp.duration(since: start) }
                == [
                    .zero, .nanoseconds(1), .nanoseconds(2), .seconds(5), .seconds(-60),
                    .seconds(-60) + .nanoseconds(1),
                ]
        )
    }

    @Test("a finished queue takes nothing more")
    func finished() {
        var queue = LifecycleQueue(capacity: 10)
        _ = queue.append(event(0), at: start)
        queue.finish()
        expect(queue.append(event(1), at: start), .refused)
        #expect(numbers(queue) == [0])
        #expect(queue.refused == 1)
    }
}
