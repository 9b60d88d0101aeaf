import MeshEvents
import Testing

@testable import MeshAlerts

@Suite struct TargetQueueTests {
    private struct Silent: AlertNotifier {
        func notify(_ notification: AlertNotification) async throws(NotificationFailure) -> String { "" }
    }

    /// A queue that expectations can change.
    private final class Held {
        private var queue: TargetQueue

        init(_ target: AlertTarget, _ place: TargetQueue.Place) { queue = TargetQueue(target, at: place) }

        var place: TargetQueue.Place { queue.place }
        var waiting: Int { queue.waiting }
        var givenUp: Int { queue.givenUp }
        var nextDeadline: Timestamp? { queue.nextDeadline }

        func add(_ item: TargetQueue.Item) { queue.add(item) }
        func read(to sequence: UInt64) { queue.read(to: sequence) }
        func next(_ now: Timestamp) -> (batch: TargetQueue.Batch, items: [TargetQueue.Item], omitted: Int)? {
            queue.next(now)
        }
        @discardableResult func delivered(_ now: Timestamp) -> Bool { queue.delivered(now) }
        func refused(_ failure: NotificationFailure, _ now: Timestamp) -> Bool { queue.refused(failure, now) }
    }

    private static func queue(
        window: Double = 10,
        perHour: Int = 3_600,
        at place: TargetQueue.Place = .init(position: 0)
    ) -> Held {
        Held(AlertTarget(name: "t", notifier: Silent(), window: .seconds(window), mostPerHour: perHour), place)
    }

    private static func item(_ sequence: UInt64, held until: Double? = nil) -> TargetQueue.Item {
        let alert = Alert(
            id: "a-\(sequence)",
            rule: "r",
            group: AlertGroup([]),
            status: .firing,
            severity: .warning,
            since: Mesh.start,
            at: Mesh.start,
            count: 1,
            sequences: []
        )
        return TargetQueue.Item(sequence: sequence, alert: alert, heldUntil: until.map { Mesh.at($0) } ?? .epoch)
    }

    @Test("the first is told at once, what comes within the window together")
    func window() throws {
        let queue = Self.queue()
        #expect(queue.next(Mesh.at(0)) == nil && queue.nextDeadline == nil)
        queue.add(Self.item(5))
        #expect(queue.next(Mesh.at(0))?.items.map(\.sequence) == [5])
        queue.delivered(Mesh.at(0))
        #expect(queue.place == TargetQueue.Place(position: 5))
        for sequence in [6, 7, 9] as [UInt64] { queue.add(Self.item(sequence)) }
        #expect(queue.next(Mesh.at(9)) == nil && queue.nextDeadline == Mesh.at(10))
        #expect(queue.next(Mesh.at(10))?.items.map(\.sequence) == [6, 7, 9])
        queue.delivered(Mesh.at(10))
        #expect(queue.place.position == 9 && queue.waiting == 0)
    }

    @Test("what is sent again is the same, with the same id; what came meanwhile comes afterwards, at once")
    func sentAgain() throws {
        let queue = Self.queue()
        queue.add(Self.item(1))
        let first = try #require(queue.next(Mesh.at(0)))
        #expect(!queue.refused(NotificationFailure("down"), Mesh.at(0)))
        for sequence in 2...50 as ClosedRange<UInt64> { queue.add(Self.item(sequence)) }
        #expect(queue.next(Mesh.at(0.9)) == nil)
        let second = try #require(queue.next(Mesh.at(1)))
        #expect(second.batch == first.batch && second.items == first.items)
        #expect(!queue.refused(NotificationFailure("down", retryAfter: .seconds(100)), Mesh.at(1)))
        #expect(queue.next(Mesh.at(100)) == nil)
        #expect(queue.next(Mesh.at(101))?.batch == first.batch)
        queue.delivered(Mesh.at(101))
        #expect(queue.next(Mesh.at(111))?.items.count == 49)
    }

    @Test("after five minutes without success it is said once, and again after the next success")
    func undelivered() {
        let queue = Self.queue()
        queue.add(Self.item(1))
        var said: [Double] = []
        var time = 0.0
        while time < 3_600 {
            if queue.next(Mesh.at(time)) != nil, queue.refused(NotificationFailure("down"), Mesh.at(time)) {
                said.append(time)
            }
            time += 1
        }
        #expect(said.count == 1 && (300.0...620).contains(said.first ?? 0))
        #expect(queue.place.failingSince == Mesh.at(0))
        while queue.next(Mesh.at(time)) == nil { time += 1 }
        #expect(queue.delivered(Mesh.at(time)) && queue.place.failingSince == nil)
    }

    @Test("what a target refuses for what it is is given up, and said")
    func givenUp() {
        let queue = Self.queue()
        queue.add(Self.item(1))
        queue.add(Self.item(2))
        _ = queue.next(Mesh.at(0))
        #expect(queue.refused(NotificationFailure("no", isFinal: true), Mesh.at(0)) && queue.givenUp == 2)
        #expect(queue.next(Mesh.at(100)) == nil && queue.place.position == 2)
        // It never heard that it fired.
        var over = Self.item(3)
        over.alert.id = "a-1"
        over.alert.status = .resolved
        queue.add(over)
        #expect(queue.next(Mesh.at(200)) == nil)
    }

    @Test("a place is small, however much waits")
    func smallPlace() {
        let queue = Self.queue()
        for sequence in 1...5_000 as ClosedRange<UInt64> { queue.add(Self.item(sequence)) }
        #expect(queue.next(Mesh.at(0)) != nil && queue.place.json.json.utf8.count < 300)
    }

    @Test("no more than the limit in an hour, after a first few")
    func limit() {
        let queue = Self.queue(window: 1, perHour: 6)
        var (sequence, sent, time): (UInt64, Int, Double) = (0, 0, 0)
        while time < 7_200 {
            sequence += 1
            queue.add(Self.item(sequence))
            if queue.next(Mesh.at(time)) != nil {
                queue.delivered(Mesh.at(time))
                sent += 1
            }
            time += 1
        }
        #expect((12...18).contains(sent), "\(sent) in two hours")
    }

    @Test("what is held in quiet hours lets others pass, and is not told twice after a restart")
    func held() throws {
        let queue = Self.queue()
        queue.add(Self.item(1, held: 1_000))
        queue.add(Self.item(2))
        #expect(queue.next(Mesh.at(0))?.items.map(\.sequence) == [2])
        queue.delivered(Mesh.at(0))
        queue.add(Self.item(3, held: 1_000))
        let place = try #require(TargetQueue.Place(json: queue.place.json))
        #expect(place == TargetQueue.Place(position: 0, told: [2]))
        let again = Self.queue(at: place)
        for item in [Self.item(1, held: 1_000), Self.item(2), Self.item(3, held: 1_000)] { again.add(item) }
        #expect(again.next(Mesh.at(999)) == nil)
        #expect(again.next(Mesh.at(1_000))?.items.map(\.sequence) == [1, 3])
        again.delivered(Mesh.at(1_000))
        #expect(again.place == TargetQueue.Place(position: 3))
    }

    @Test("who takes over in the middle tells the same with the same id")
    func takesOver() throws {
        let queue = Self.queue()
        for sequence in 1...3 as ClosedRange<UInt64> { queue.add(Self.item(sequence)) }
        let first = try #require(queue.next(Mesh.at(0)))
        let again = Self.queue(at: try #require(TargetQueue.Place(json: queue.place.json)))
        for sequence in 1...5 as ClosedRange<UInt64> { again.add(Self.item(sequence)) }
        let second = try #require(again.next(Mesh.at(1)))
        #expect(second.batch == first.batch && second.items == first.items)
        again.delivered(Mesh.at(1))
        #expect(again.next(Mesh.at(11))?.items.map(\.sequence) == [4, 5])
    }

    @Test("a notification that the stream has dropped ends")
    func dropped() {
        let place = TargetQueue.Place(position: 3, sending: .init(id: "x", first: 4, last: 4, at: Mesh.at(0)))
        let queue = Self.queue(at: place)
        queue.read(to: 10)
        #expect(queue.next(Mesh.at(0)) == nil && queue.place.sending == nil && queue.place.position == 10)
        queue.add(Self.item(11))
        #expect(queue.next(Mesh.at(0))?.items.map(\.sequence) == [11])
    }

    @Test("of too many the newest are kept, and the others counted")
    func tooMany() {
        let queue = Self.queue()
        for sequence in 1...UInt64(TargetQueue.mostItems + 100) { queue.add(Self.item(sequence)) }
        let next = queue.next(Mesh.at(0))
        #expect(next?.items.count == TargetQueue.mostAlerts)
        #expect(next?.omitted == TargetQueue.mostItems + 100 - TargetQueue.mostAlerts)
    }
}
