import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import Synchronization
import TestSupport
import Testing

/// Whether the numbers are those of the long form of the tests.
private let isLongRun = ProcessInfo.processInfo.environment["MESH_EVENTS_LONG"] == "1"

@Suite("Batches of acknowledged events", .timeLimit(.minutes(10)))
struct BatchEmitTests {
    private func open(
        _ server: LocalNATSServer,
        _ configuration: PersistentEventBus.Configuration = .init(maximumMessages: nil)
    ) async throws -> PersistentEventBus {
        let transport = NATSTransport(try await connect(server))
        return try await PersistentEventBus.open(
            transport: transport,
            node: "node-a",
            configuration: configuration,
            logger: quiet
        )
    }

    private func events(_ count: Int, topic: String = "batch") throws -> [Event] {
        let type = try EventType("user.\(topic)")
        return (0..<count).map { Event(type, data: ["n": .init($0)]) }
    }

    /// The numbers stored for a topic, in the order of the stream.
    private func stored(_ persistent: PersistentEventBus, topic: String = "batch") async throws -> [Int] {
        let pattern = try EventPattern("events.user.\(topic)")
        var numbers: [[Int]] = []
        var cursor: UInt64?
        while true {
            let query = EventHistory.Query(matching: pattern, limit: 16_000, before: cursor)
            let page = try await persistent.history(query)
            numbers.append(page.events.map { $0.event.data["n"]?.int ?? -1 })
            guard let next = page.cursor else { return Array(numbers.reversed().joined()) }
            cursor = next
        }
    }

    @Test("a batch larger than the window is stored whole, in order, each at its position", arguments: NATSServers.all)
    func whole(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let persistent = try await open(server)
            let positions = try await persistent.emit(contentsOf: try events(10_000))
            #expect(positions.map(\.sequence) == Array(1...10_000))
            #expect(positions.allSatisfy { $0.stream == "MESH_EVENTS" })
            #expect(try await stored(persistent) == Array(0..<10_000))
        }
    }

    @Test("an event that cannot be sent ends the batch; those before it are stored, and the error says which")
    func badEvent() async throws {
        try await withServer { server in
            let persistent = try await open(server)
            let bad = Event("not..a.type")
            let batch = try events(300) + [bad] + events(200)
            let error = await #expect(throws: BatchEmitError.self) {
                try await persistent.emit(contentsOf: batch)
            }
            #expect(error?.cause.code == .invalidEventType)
            #expect(error?.stored.keys.sorted() == Array(0..<300))
            #expect(error?.unconfirmed == [])
            #expect(error?.sent == 300)
            #expect(try await stored(persistent) == Array(0..<300))
        }
    }

    @Test("a stream that is full refuses the batch at that event, retriably, and says what is stored")
    func full() async throws {
        try await withServer { server in
            let persistent = try await open(server)
            let jetStream = JetStream(connection: try await connect(server))
            var configuration = try await jetStream.streamInfo("MESH_EVENTS").configuration
            configuration.fields["discard"] = "new"
            configuration.maximumMessages = 100
            _ = try await jetStream.updateStream(configuration)
            let error = await #expect(throws: BatchEmitError.self) {
                try await persistent.emit(contentsOf: try events(200))
            }
            #expect(error?.cause.code == .storageFull)
            #expect(error?.stored.keys.sorted() == Array(0..<100))
        }
    }

    @Test(
        "kill -9 five times during acknowledged events: stored once, in order, and seen by replay and durable",
        arguments: NATSServers.all
    )
    func killed(binary: NATSServers.Binary) async throws {
        // A killed process loses nothing that it wrote; only syncing each durable acknowledgement would take the time.
        try await withServer(binary, .init(syncsEachWrite: false)) { server in
            let emitters = 4
            // `make test-long` takes 200 000 in all.
            let count = isLongRun ? 50_000 : 8_000
            let total = emitters * count
            let reader = try await open(server)
            let replay = ReplayRecord()
            let replaying = replay.follow(try await reader.replay())
            let handled = Mutex<[UInt64: Int]>([:])
            let durable = try await open(server).subscribe(
                durable: "watcher",
                configuration: .init(acknowledgementWait: .seconds(5), concurrency: 64)
            ) { delivery in
                handled.withLock { $0[delivery.sequence, default: 0] += 1 }
            }
            let store = JetStreamStore(try await connect(server))
            let killer = Task {
                for round in 1...5 {
                    let mark = UInt64(round * total / 7)
                    try await eventually("the events", reaches: mark) { try await store.state().lastSequence }
                    await server.kill()
                    try await server.restart()
                }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for emitter in 0..<emitters {
                    group.addTask {
                        let persistent = try await open(server)
                        let batch = try events(count, topic: "killed.\(emitter)")
                        let positions = try await persistent.emit(contentsOf: batch)
                        let sequences = positions.map(\.sequence)
                        #expect(sequences.count == count)
                        let isAscending = zip(sequences, sequences.dropFirst()).allSatisfy { $0 < $1 }
                        #expect(isAscending, "the positions of emitter \(emitter) are not in order")
                    }
                }
                try await group.waitForAll()
            }
            try await killer.value
            for emitter in 0..<emitters {
                let numbers = try await stored(reader, topic: "killed.\(emitter)")
                let isWhole = numbers == Array(0..<count)
                #expect(isWhole, "emitter \(emitter): \(differences(of: numbers))")
            }
            try await eventually("what the replay has", reaches: total) { replay.count }
            let isReplayed = replay.sequences == Array(1...UInt64(total))
            #expect(isReplayed, "each sequence once, in order: \(replay.count) of \(total)")
            #expect(replay.gaps.isEmpty, "\(replay.gaps)")
            try await eventually("what the durable has", reaches: total) { handled.withLock { $0.count } }
            #expect(handled.withLock { Set($0.keys) } == Set(1...UInt64(total)))
            replaying.cancel()
            durable.cancel()
        }
    }

    @Test("a server that stays away: the batch fails at its deadline, retriably, and says what is unconfirmed")
    func gone() async throws {
        try await withServer { server in
            let persistent = try await open(server, .init(acknowledgementDeadline: .seconds(2)))
            try await persistent.emit(contentsOf: try events(10))
            await server.kill()
            let start = ContinuousClock.now
            let error = await #expect(throws: BatchEmitError.self) {
                try await persistent.emit(contentsOf: try events(50_000))
            }
            #expect(ContinuousClock.now - start < .seconds(20))
            #expect(error?.cause.isRetriable == true)
            #expect(error?.stored.isEmpty == true)
            try await server.restart()
            try await persistent.emit(contentsOf: try events(10))
        }
    }

    @Test("cancelling ends a batch, and the error says what became of it")
    func cancelled() async throws {
        try await withServer { server in
            let persistent = try await open(server)
            let store = JetStreamStore(try await connect(server))
            let task = Task { try await persistent.emit(contentsOf: try events(1_000_000)) }
            defer { task.cancel() }
            try await eventually("the first events") {
                try await store.state().messages > 10_000
            }
            task.cancel()
            let error = await #expect(throws: BatchEmitError.self) { try await task.value }
            #expect((error?.stored.count ?? 0) > 1000)
        }
    }

    @Test("a batch that is cancelled while its connection is down sends nothing again", arguments: [true, false])
    func cancelledWhileAway(isCancelled: Bool) async throws {
        try await withServer { server in
            let proxy = try await TCPProxy.start(before: server.port)
            let connection = try await connect(at: proxy.url)
            let persistent = try await PersistentEventBus.open(
                transport: NATSTransport(connection),
                node: "node-a",
                configuration: .init(acknowledgementDeadline: .seconds(600)),
                logger: quiet
            )
            let copies = Counter()
            let observer = try await connect(server)
            let subscription = try await observer.subscribe(to: "events.user.batch")
            let counting = Task { for try await _ in subscription { copies.add() } }
            // The event arrives, and its acknowledgement takes minutes.
            proxy.treat { $0.bytesPerSecondDown = 1 }
            let task = Task { try await persistent.emit(contentsOf: try events(1)) }
            try await eventually("the event") { copies.count == 1 }
            proxy.treat { conduct in
                conduct.bytesPerSecondDown = nil
                conduct.refuses = true
            }
            proxy.cut()
            try await status(of: connection, "the loss") { if case .disconnected = $0 { true } else { nil } }
            if isCancelled {
                task.cancel()
                await #expect(throws: BatchEmitError.self) { try await task.value }
            }
            proxy.treat { $0.refuses = false }
            try await status(of: connection, "the return") { if case .reconnected = $0 { true } else { nil } }
            if isCancelled {
                // It would be sent again after a second at most.
                try await Task.sleep(for: .seconds(3))
                #expect(copies.count == 1)
            } else {
                #expect(try await task.value.count == 1)
                try await eventually("the event once more") { copies.count > 1 }
            }
            counting.cancel()
            await observer.close()
            await connection.close()
            await proxy.stop()
        }
    }
}

/// Where numbers are not those from 0 on, in short.
private func differences(of numbers: [Int]) -> String {
    let steps = zip(numbers, numbers.dropFirst()).filter { $1 != $0 + 1 }
    return "\(numbers.count) numbers, \(Set(numbers).count) different, first \(numbers.first ?? -1), jumps "
        + steps.prefix(5).map { "\($0)→\($1)" }.joined(separator: " ")
}
