import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import Testing

/// Many threads at once. The thread sanitizer, which is many times slower, gets smaller numbers.
@Suite(.timeLimit(.minutes(3)))
struct BusConcurrencyTests {
    private static let perThread = ThreadSanitizer.isActive ? 2_000 : 100_000
    private static let rounds = ThreadSanitizer.isActive ? 50 : 300

    private let mesh = InMemoryMesh()

    private func bus(_ node: String) -> EventBus {
        EventBus(transport: InMemoryTransport(mesh), node: node)
    }

    @Test func eightThreadsEmitAtOnceAndEverythingArrivesInEachEmittersOrder() async throws {
        let emitter = bus("emitter")
        let watcher = bus("watcher")
        let total = 8 * Self.perThread
        let subscription = try await watcher.subscribe(
            to: "events.user.*",
            buffer: EventSubscription.Buffer(maximumEvents: total, maximumBytes: 1 << 30)
        )
        async let next: [Int] = {
            var next = Array(repeating: 0, count: 8)
            var count = 0
            for try await event in subscription {
                let thread = try #require(event.data["thread"]?.int)
                #expect(event.data["seq"]?.int == next[thread])
                next[thread] += 1
                count += 1
                if count == total { break }
            }
            return next
        }()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for thread in 0..<8 {
                group.addTask {
                    try await emitter.emit(
                        contentsOf: (0..<Self.perThread).lazy.map {
                            Event("user.load", data: ["seq": .init($0), "thread": .init(thread)])
                        }
                    )
                }
            }
            try await group.waitForAll()
        }
        #expect(try await next == Array(repeating: Self.perThread, count: 8))
        #expect(subscription.dropped == 0)
        #expect(subscription.received == UInt64(total))
    }

    @Test func cancellingReadersWhileEventsArriveLosesNothingForTheNextReader() async throws {
        let emitter = bus("emitter")
        let watcher = bus("watcher")
        let subscription = try await watcher.subscribe(to: "user.race")
        let total = Self.rounds * 20
        let emitting = Task {
            for number in 0..<total {
                try emitter.emit("user.race", ["seq": .init(number)])
                if number.isMultiple(of: 7) { await Task.yield() }
            }
        }
        let box = SeenNumbers()
        for _ in 0..<Self.rounds {
            let reader = Task {
                for try await event in subscription { box.add(event.data["seq"]?.int ?? -1) }
            }
            await Task.yield()
            reader.cancel()
            try await reader.value
        }
        try await emitting.value
        try await emitter.flush()
        try await subscription.drain()
        for try await event in subscription { box.add(event.data["seq"]?.int ?? -1) }
        #expect(box.numbers == Array(0..<total))
    }

    @Test func closingRacesWithNextAndEveryReaderEnds() async throws {
        for _ in 0..<Self.rounds {
            let watcher = bus("watcher")
            let emitter = bus("emitter")
            let subscription = try await watcher.subscribe()
            let readers = (0..<3).map { _ in
                Task {
                    var count = 0
                    for try await _ in subscription { count += 1 }
                    return count
                }
            }
            try emitter.emit("user.race")
            await watcher.close()
            var count = 0
            for reader in readers { count += try await reader.value }
            #expect(count <= 1)
        }
    }

    @Test func subscribingRacesWithClosingAndEndsEitherWay() async throws {
        for _ in 0..<Self.rounds {
            let watcher = bus("watcher")
            let subscribing = Task {
                do {
                    for try await _ in try await watcher.subscribe() { Issue.record("nobody emits") }
                } catch let error as MeshEventsError {
                    #expect(error.code == .closed)
                }
            }
            await watcher.close()
            try await subscribing.value
        }
    }

    @Test func drainingWhileEventsArriveDeliversAPrefixAndEnds() async throws {
        for _ in 0..<Self.rounds {
            let emitter = bus("emitter")
            let subscription = try await bus("watcher").subscribe(to: "user.race")
            for number in 0..<10 { try emitter.emit("user.race", ["seq": .init(number)]) }
            try await emitter.flush()
            let emitting = Task {
                for number in 10..<100 { try emitter.emit("user.race", ["seq": .init(number)]) }
            }
            await Task.yield()
            try await subscription.drain()
            var numbers: [Int] = []
            for try await event in subscription { numbers.append(event.data["seq"]?.int ?? -1) }
            #expect(numbers.count >= 10, "what was emitted and flushed before the drain")
            #expect(numbers == Array(0..<numbers.count))
            try await emitting.value
        }
    }

    @Test func cancellingAHandlerFromItsOwnCallStopsIt() async throws {
        let emitter = bus("emitter")
        let calls = SeenNumbers()
        let own = OwnSubscription()
        let subscription = try await bus("watcher").subscribe(to: "user.once") { _ in
            calls.add(1)
            await own.cancel()
        }
        await own.set(subscription)
        for _ in 0..<100 { try emitter.emit("user.once") }
        try await emitter.flush()
        try await subscription.drain()
        #expect(calls.numbers == [1])
    }
}

/// Numbers that several tasks have seen, in the order of seeing.
private final class SeenNumbers: Sendable {
    private let state = Locked<[Int]>([])

    var numbers: [Int] { state.withLock { $0 } }

    func add(_ number: Int) { state.withLock { $0.append(number) } }
}

/// Hands a handler its own subscription.
private actor OwnSubscription {
    private var subscription: HandlerSubscription?
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func set(_ subscription: HandlerSubscription) {
        self.subscription = subscription
        for continuation in waiting { continuation.resume() }
        waiting = []
    }

    func cancel() async {
        if subscription == nil { await withCheckedContinuation { waiting.append($0) } }
        subscription?.cancel()
    }
}
