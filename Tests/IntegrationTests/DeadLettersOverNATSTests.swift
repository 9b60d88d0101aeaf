import LocalNATSServer
import Logging
import MeshEvents
import MeshEventsNATS
import NATSClient
import NIOCore
import Synchronization
import TestSupport
import Testing

/// How often each sequence was seen.
private final class Seen: Sendable {
    private let counts = Mutex<[UInt64: Int]>([:])

    func add(_ sequence: UInt64) { counts.withLock { $0[sequence, default: 0] += 1 } }
    var all: [UInt64: Int] { counts.withLock { $0 } }
}

/// Retries of dead letters where servers end, streams forget, and for handlers without retries.
@Suite("Dead letters against real servers", .timeLimit(.minutes(5)))
struct DeadLettersOverNATSTests {
    private static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func open(
        _ server: LocalNATSServer,
        node: String = "n",
        _ configuration: PersistentEventBus.Configuration = .init(acknowledgementDeadline: .seconds(60))
    ) async throws -> PersistentEventBus {
        var connection = NATSConnection.Configuration(servers: try ServerAddress.list(server.url))
        connection.reconnectDelay = ReconnectDelay(initial: .milliseconds(20), maximum: .milliseconds(200))
        return try await PersistentEventBus.open(
            transport: NATSTransport.connect(connection, logger: Self.silent),
            node: node,
            configuration: configuration,
            logger: Self.silent
        )
    }

    private func next(_ subscription: DurableSubscription) async throws -> DurableDelivery {
        let delivery = try await withDeadline(.seconds(60), "an event of \(subscription.name)") {
            var iterator = subscription.makeAsyncIterator()
            return try await iterator.next()
        }
        return try #require(delivery)
    }

    /// Emits events and has the durable `jobs` give them up.
    private func giveUp(_ count: Int, _ bus: PersistentEventBus) async throws -> [DeadLetter] {
        try await bus.emit(contentsOf: (0..<count).map { Event("user.job", data: ["n": .init($0)]) })
        let subscription = try await bus.subscribe(durable: "jobs", to: "user.job")
        for _ in 0..<count { try await next(subscription).terminate(reason: "why") }
        try await subscription.drain()
        return try await bus.deadLetters(of: "jobs", limit: count + 1)
    }

    @Test(
        "the server is killed twice while retries are asked for and handled: each is handled, and said to be",
        arguments: NATSServers.all
    )
    func killedServer(binary: NATSServers.Binary) async throws {
        let total = 40
        try await withServer(binary) { server in
            let operators = try await open(server, node: "operator")
            let letters = try await giveUp(total, operators)
            #expect(letters.count == total)
            let seen = Seen()
            let configuration = DurableSubscription.Configuration(concurrency: 2)
            var handlers: [DurableHandlerSubscription] = []
            for node in ["a", "b"] {
                handlers.append(
                    try await open(server, node: node).subscribe(
                        durable: "jobs",
                        to: "user.job",
                        configuration: configuration
                    ) { delivery in
                        seen.add(delivery.sequence)
                        try await Task.sleep(for: .milliseconds(20))
                    }
                )
            }
            let asking = Task { for letter in letters { try await operators.retry(letter) } }
            for share in [1, 2] {
                try await eventually("\(share) thirds of the retries", reaches: share * total / 3) { seen.all.count }
                await server.kill()
                try await server.restart()
            }
            try await asking.value
            try await eventually("the letters that are not open", reaches: total) {
                try await total - operators.deadLetters(of: "jobs").count
            }
            #expect(Set(seen.all.keys) == Set(letters.map(\.original.sequence)))
            // At least once is not many times: a kill may repeat what was in hand.
            #expect(seen.all.values.reduce(0, +) <= total + 2 * 4, "\(seen.all)")
            let settled = try await operators.deadLetters(of: "jobs", limit: 100, includesSettled: true)
            #expect(settled.count == total)
            for handler in handlers { try await handler.drain() }
        }
    }

    @Test("a handler without retries pays one request, and none for an event", arguments: NATSServers.all)
    func cost(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let bus = try await open(server)
            let watch = try await NATSConnection.connect(to: server.url)
            let looks = try await watch.subscribe(to: "$JS.API.STREAM.MSG.GET.MESH_EVENTS")
            let counted = Counter()
            // Emitting many events looks at the stream too.
            let counting = Task {
                for try await look in looks where String(buffer: look.payload).contains("events.dead_letter.jobs") {
                    counted.add()
                }
            }
            let handled = Counter()
            let subscription = try await bus.subscribe(durable: "jobs", to: "user.job") { _ in handled.add() }
            try await eventually("the look at the records") { counted.count == 1 }
            try await bus.emit(contentsOf: (0..<200).map { Event("user.job", data: ["n": .init($0)]) })
            try await eventually("every event") { handled.count == 200 }
            try await subscription.drain()
            try await watch.flush()
            #expect(counted.count == 1)
            let consumers = try await bus.report().consumers.map(\.name)
            #expect(consumers == ["jobs"], "no consumer was made for retries")
            counting.cancel()
            await watch.close()
        }
    }

    @Test("an original that only the archive has is delivered; one that nothing has is not", arguments: NATSServers.all)
    func archived(binary: NATSServers.Binary) async throws {
        let configuration = PersistentEventBus.Configuration(maximumMessages: 6, archive: ArchiveConfiguration())
        try await withServer(binary) { server in
            let bus = try await open(server, configuration)
            let letter = try #require(try await giveUp(1, bus).first)
            let store = JetStreamStore(try await NATSConnection.connect(to: server.url))
            let isArchived = bus.opening.archive == .created
            for _ in 0..<5 {
                if isArchived {
                    try await eventually("the archive to have everything") {
                        try await store.archiveReport()?.stream.state.lastSequence == store.state().lastSequence
                    }
                }
                try await bus.emit("user.other")
            }
            #expect(try await store.state().firstSequence > letter.original.sequence)
            if isArchived {
                #expect(try await bus.deadLetters(of: "jobs") == [letter])
                #expect(try await bus.retry(letter).isNew)
                let subscription = try await bus.subscribe(durable: "jobs", to: "user.job")
                let delivery = try await next(subscription)
                #expect(delivery.deadLetter == letter.sequence && delivery.sequence == letter.original.sequence)
                try await delivery.ack()
            } else {
                let error = await thrownError { () async throws(MeshEventsError) in _ = try await bus.retry(letter) }
                #expect(error?.code == .eventNotFound)
                #expect(error?.message.contains("is gone from the stream") == true)
            }
        }
    }

    @Test("a durable that was deleted and made again gets its retries", arguments: NATSServers.all)
    func durableMadeAgain(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let bus = try await open(server)
            let letter = try #require(try await giveUp(1, bus).first)
            try await bus.deleteDurable("jobs")
            #expect(try await bus.retry(letter).isNew)
            let other = try await open(server, node: "other")
            let subscription = try await other.subscribe(
                durable: "jobs",
                to: "user.job",
                configuration: .init(start: .new)
            )
            let delivery = try await next(subscription)
            #expect(delivery.deadLetter == letter.sequence)
            try await delivery.ack()
            #expect(try await bus.deadLetters(of: "jobs").isEmpty)
        }
    }
}
