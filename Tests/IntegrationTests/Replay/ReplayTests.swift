import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import Synchronization
import TestSupport
import Testing

/// What a replay has handed over so far.
final class ReplayRecord: Sendable {
    private let state = Mutex<(sequences: [UInt64], gaps: [ReplayGap], numbers: [Int])>(([], [], []))

    var sequences: [UInt64] { state.withLock { $0.sequences } }
    var gaps: [ReplayGap] { state.withLock { $0.gaps } }
    var numbers: [Int] { state.withLock { $0.numbers } }
    var count: Int { state.withLock { $0.sequences.count } }

    func add(_ element: ReplayElement) {
        state.withLock { state in
            switch element {
            case .caughtUp, .reset: break
            case .gap(let gap): state.gaps.append(gap)
            case .event(let stored):
                state.sequences.append(stored.sequence)
                state.numbers.append(stored.event.data["seq"]?.int ?? -1)
            }
        }
    }

    /// Records a replay until it ends.
    func follow(_ replay: ReplaySubscription) -> Task<Void, any Error> {
        Task { for try await element in replay { add(element) } }
    }
}

@Suite("Replay against real servers", .timeLimit(.minutes(5)))
struct ReplayTests {
    private func connection(_ server: LocalNATSServer) async throws -> NATSTransport {
        NATSTransport(try await connect(server))
    }

    @Test(
        "over five kills of the server, while events are emitted, each sequence comes once",
        arguments: NATSServers.all
    )
    func kills(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        try await withServer(binary, .init(storeDirectory: directory.path)) { server in
            let emitting = try await connection(server)
            let reading = try await connection(server)
            let configuration = PersistentEventBus.Configuration(maximumMessages: nil)
            let bus = try await PersistentEventBus.open(
                transport: emitting,
                node: "n",
                configuration: configuration,
                logger: quiet
            )
            let replays = EventReplay(store: JetStreamStore(reading.connection), logger: quiet)
            let record = ReplayRecord()
            let task = record.follow(try await replays.open())
            let filtered = ReplayRecord()
            let filteredTask = filtered.follow(try await replays.open(matching: "events.user.kept"))
            let total = 20_000
            let stored = Mutex(0)
            async let emitted: Void = {
                let events = (0..<total).map { number in
                    Event(number.isMultiple(of: 3) ? "user.other" : "user.kept", data: ["seq": .init(number)])
                }
                for begin in stride(from: 0, to: total, by: 500) {
                    _ = try await bus.emit(contentsOf: events[begin..<begin + 500])
                    stored.withLock { $0 = begin + 500 }
                    try await Task.sleep(for: .milliseconds(10))
                }
            }()
            for kill in 1...5 {
                try await eventually("event \(kill * 3_000) to be stored") {
                    stored.withLock { $0 } >= kill * 3_000
                }
                await server.kill()
                try await server.restart()
            }
            try await emitted
            try await eventually("what the replay has", reaches: total) { record.count }
            let kept = (0..<total).filter { !$0.isMultiple(of: 3) }
            try await eventually("the filtered replay", reaches: kept.count) { filtered.count }
            #expect(record.sequences == Array(1...UInt64(total)))
            #expect(record.numbers.sorted() == Array(0..<total))
            #expect(record.gaps.isEmpty, "\(record.gaps)")
            #expect(filtered.sequences == filtered.sequences.sorted())
            #expect(filtered.numbers.sorted() == kept)
            #expect(filtered.gaps.isEmpty, "\(filtered.gaps)")
            task.cancel()
            filteredTask.cancel()
            await emitting.close()
            await reading.close()
        }
    }

    @Test("the consumer is deleted under a replay: it goes on where it was", arguments: NATSServers.all)
    func consumerDeleted(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            let bus = try await PersistentEventBus.open(transport: transport, node: "n", logger: quiet)
            let record = ReplayRecord()
            let task = record.follow(try await bus.replay(matching: "events.user.>"))
            for number in 0..<10 { try await bus.emit("user.n", ["seq": .init(number)]) }
            try await eventually("the first ten") { record.count == 10 }
            for name in try await consumers(of: store) {
                try await store.jetStream.deleteConsumer(name, on: store.streamName)
            }
            for number in 10..<20 { try await bus.emit("user.n", ["seq": .init(number)]) }
            try await eventually("the next ten") { record.count >= 20 }
            #expect(record.numbers == Array(0..<20))
            #expect(record.gaps.isEmpty)
            task.cancel()
        }
    }

    @Test("a server that stops answering and goes on is not the end of a replay")
    func suspended() async throws {
        try await withServer { server in
            let transport = try await connection(server)
            let bus = try await PersistentEventBus.open(transport: transport, node: "n", logger: quiet)
            let record = ReplayRecord()
            let task = record.follow(try await bus.replay())
            try await bus.emit("user.n", ["seq": 0])
            try await eventually("the first event") { record.count == 1 }
            server.suspend()
            try await Task.sleep(for: .seconds(4))
            server.resume()
            try await bus.emit("user.n", ["seq": 1])
            try await eventually("the second event") { record.count >= 2 }
            #expect(record.numbers == [0, 1])
            task.cancel()
            await transport.close()
        }
    }

    @Test(
        "an idle replay stays alive without being restarted, and leaves no consumer behind",
        arguments: NATSServers.all
    )
    func idle(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            let bus = try await PersistentEventBus.open(transport: transport, node: "n", logger: quiet)
            let record = ReplayRecord()
            let replay = try await bus.replay(from: .new)
            let task = record.follow(replay)
            let before = try await consumers(of: store)
            #expect(before.count == 1)
            try await Task.sleep(for: .seconds(6))
            #expect(try await consumers(of: store) == before)
            let start = ContinuousClock.now
            try await bus.emit("user.n", ["seq": 0])
            try await eventually("the event") { record.count == 1 }
            #expect(.now - start < .seconds(2))
            task.cancel()
            replay.cancel()
            try await eventually("the consumer to be gone") { try await consumers(of: store).isEmpty }
        }
    }

    @Test("what a reader does not take is not fetched: little is held, nothing is lost", arguments: NATSServers.all)
    func bounded(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            let configuration = PersistentEventBus.Configuration(maximumMessages: nil)
            let bus = try await PersistentEventBus.open(
                transport: transport,
                node: "n",
                configuration: configuration,
                logger: quiet
            )
            let text = String(repeating: "x", count: 2_000)
            let total = 8_000
            _ = try await bus.emit(
                contentsOf: (0..<total).map { Event("user.n", data: ["seq": .init($0), "text": .string(text)]) }
            )
            let replay = try await bus.replay()
            var iterator = replay.makeAsyncIterator()
            #expect(try await iterator.next()?.event?.sequence == 1)
            var delivered: UInt64 = 0
            for _ in 0..<20 {
                try await Task.sleep(for: .milliseconds(50))
                let name = try #require(try await consumers(of: store).first)
                let info = try await store.jetStream.consumerInfo(name, on: store.streamName)
                delivered = info.delivered.streamSequence
            }
            #expect(delivered <= 4_000, "of \(total) events \(delivered) were fetched for a reader that took one")
            var next: UInt64 = 2
            while next <= total, let element = try await iterator.next() {
                guard let event = element.event else { continue }
                #expect(event.sequence == next)
                next = event.sequence + 1
            }
            #expect(next == UInt64(total) + 1)
        }
    }

    @Test("messages near the payload limit come through", arguments: NATSServers.all)
    func large(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { _, transport, _ in
            let bus = try await PersistentEventBus.open(transport: transport, node: "n", logger: quiet)
            let text = String(repeating: "x", count: 1_000_000)
            for number in 0..<12 { try await bus.emit("user.n", ["seq": .init(number), "text": .string(text)]) }
            let record = ReplayRecord()
            let tasks = [
                record.follow(try await bus.replay()), record.follow(try await bus.replay(matching: "events.user.n")),
            ]
            try await eventually("all of them, twice") { record.count >= 24 }
            #expect(record.numbers.sorted() == (0..<24).map { $0 / 2 })
            for task in tasks { task.cancel() }
        }
    }

    @Test(
        "what is purged under a live replay is no gap when it was seen, and one when it was not",
        arguments: NATSServers.all
    )
    func purge(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            let bus = try await PersistentEventBus.open(transport: transport, node: "n", logger: quiet)
            for number in 0..<20 { try await bus.emit("user.n", ["seq": .init(number)]) }
            let record = ReplayRecord()
            let task = record.follow(try await bus.replay(from: .sequence(1)))
            try await eventually("what is stored") { record.count == 20 }
            try await store.jetStream.purgeStream(store.streamName)
            for number in 20..<25 { try await bus.emit("user.n", ["seq": .init(number)]) }
            try await eventually("what comes") { record.count == 25 }
            #expect(record.gaps.isEmpty, "\(record.gaps)")
            let late = ReplayRecord()
            let lateTask = late.follow(try await bus.replay(from: .sequence(3)))
            try await eventually("what is left") { late.count == 5 }
            #expect(late.gaps == [ReplayGap(sequences: 3...20)])
            task.cancel()
            lateTask.cancel()
        }
    }

    @Test(
        "what a filtered replay has passed over while it waited is no gap, however it goes on",
        arguments: NATSServers.all
    )
    func passedOver(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            let configuration = PersistentEventBus.Configuration(maximumMessages: 100)
            let bus = try await PersistentEventBus.open(
                transport: transport,
                node: "n",
                configuration: configuration,
                logger: quiet
            )
            let record = ReplayRecord()
            let task = record.follow(try await bus.replay(matching: "events.user.rare"))
            try await bus.emit("user.rare", ["seq": 0])
            try await eventually("the first") { record.count == 1 }
            _ = try await bus.emit(contentsOf: (0..<1_000).map { _ in Event("user.common") })
            // Two heartbeats, which say how far the consumer has looked.
            try await Task.sleep(for: .milliseconds(2_500))
            for name in try await consumers(of: store) {
                try await store.jetStream.deleteConsumer(name, on: store.streamName)
            }
            try await bus.emit("user.rare", ["seq": 1])
            try await eventually("the second") { record.count >= 2 }
            #expect(record.numbers == [0, 1])
            #expect(record.gaps.isEmpty, "\(record.gaps)")
            task.cancel()
        }
    }

    private func consumers(of store: JetStreamStore) async throws -> [String] {
        struct Answer: Decodable { let consumers: [String]? }
        let answer = try await store.jetStream.connection.request(
            to: "$JS.API.CONSUMER.NAMES.\(store.streamName)",
            timeout: .seconds(5)
        )
        return try JSONDecoder().decode(Answer.self, from: Data(answer.text.utf8)).consumers ?? []
    }
}
