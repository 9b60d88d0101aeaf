import Foundation
import LocalNATSServer
import Logging
import MeshEvents
import MeshEventsNATS
import NATSClient
import Synchronization
import TestSupport
import Testing

/// Sequences that were seen, and how often.
private final class Seen: Sendable {
    private let counts = Mutex<[UInt64: Int]>([:])

    func add(_ sequence: UInt64) { counts.withLock { $0[sequence, default: 0] += 1 } }
    var sequences: Set<UInt64> { counts.withLock { Set($0.keys) } }
    var deliveries: Int { counts.withLock { $0.values.reduce(0, +) } }
}

@Suite("Durable subscriptions against real servers", .timeLimit(.minutes(5)))
struct DurableOverNATSTests {
    private static let unlimited = PersistentEventBus.Configuration(
        maximumMessages: nil,
        acknowledgementDeadline: .seconds(60)
    )

    private func open(_ server: LocalNATSServer, node: String = "n") async throws -> PersistentEventBus {
        var connection = NATSConnection.Configuration(servers: try ServerAddress.list(server.url))
        connection.reconnectDelay = ReconnectDelay(initial: .milliseconds(20), maximum: .milliseconds(200))
        return try await PersistentEventBus.open(
            transport: NATSTransport.connect(connection),
            node: node,
            configuration: Self.unlimited,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    @Test(
        "the server is killed five times: every event is seen, and acknowledged or given up",
        arguments: NATSServers.all
    )
    func killedServer(binary: NATSServers.Binary) async throws {
        // A server that writes every acknowledgement to disk at once takes tens of them a second on a slow disk.
        let total = ProcessInfo.processInfo.environment["MESH_EVENTS_LONG"] == "1" ? 20_000 : 1_400
        let interval = total / 10
        try await withServer(binary) { server in
            let emitter = try await open(server, node: "emitter")
            let worker = try await open(server, node: "worker")
            let seen = Seen()
            struct Hopeless: Error {}
            let subscription = try await worker.subscribe(
                durable: "survivor",
                to: "events.user.flow",
                configuration: .init(
                    acknowledgementWait: .seconds(3),
                    redelivery: .constant(.milliseconds(50)),
                    maximumDeliveries: 3,
                    concurrency: 2
                )
            ) { delivery in
                seen.add(delivery.sequence)
                if delivery.event.data["seq"]?.int.map({ $0 % interval == interval - 1 }) == true { throw Hopeless() }
            }
            let emitting = Task {
                try await emitter.emit(
                    contentsOf: (0..<total).lazy.map { Event("user.flow", data: ["seq": .init($0)]) }
                )
            }
            for round in 1...5 {
                let aim = round * total / 7
                try await eventually("the events seen", reaches: aim) { seen.sequences.count }
                await server.kill()
                try await server.restart()
            }
            let positions = try await emitting.value
            let stored = Set(positions.map(\.sequence))
            #expect(stored.count == total, "every acknowledged event is stored once")
            let jetStream = JetStream(connection: try await NATSConnection.connect(to: server.url))
            do {
                try await eventually("every stored event to be seen") {
                    seen.sequences.isSuperset(of: stored)
                }
            } catch {
                // What the server says about those that are missing tells whose fault it is.
                let missing = stored.subtracting(seen.sequences).sorted()
                let info = try await jetStream.consumerInfo("survivor", on: "MESH_EVENTS")
                let state = try await JetStreamStore(jetStream.connection).state()
                let first = try await worker.history(
                    EventHistory.Query(limit: 1, before: (missing.first ?? 0) + 1)
                ).events.map(\.sequence)
                Issue.record(
                    "missing \(missing.count): \(missing.prefix(20)) … newest up to the first: \(first); \(info); \(state)"
                )
                throw error
            }
            try await eventually("every event to be acknowledged or given up") {
                let info = try await jetStream.consumerInfo("survivor", on: "MESH_EVENTS")
                return info.pending == 0 && info.acknowledgementsPending == 0
            }
            try await subscription.drain()
            let letters = try await worker.history(matching: "events.user.dead_letter.survivor", limit: 1000)
            let hopeless = letters.compactMap { $0.event.data["data"]?["seq"]?.int }
            let expected = Array(stride(from: interval - 1, to: total, by: interval))
            #expect(hopeless.sorted() == expected, "each given up once")
            // At least once is not many times: what this process has handled it does not handle again.
            #expect(seen.deliveries < total + 100)
            await jetStream.connection.close()
        }
    }

    @Test(
        "with a filter, a killed server and a killed worker: each event that passes is seen, the others are acknowledged",
        arguments: NATSServers.all
    )
    func filteredThroughKills(binary: NATSServers.Binary) async throws {
        let total = 6_000
        try await withServer(binary) { server in
            let emitter = try await open(server, node: "emitter")
            let configuration = DurableSubscription.Configuration(
                acknowledgementWait: .seconds(3),
                redelivery: .constant(.milliseconds(50)),
                maximumDeliveries: 50,
                filter: try EventFilter("load > 0.9", "seq != 50")
            )
            try await emitter.emit(
                contentsOf: (0..<total).lazy.map {
                    Event("user.load", data: ["seq": .init($0), "load": .init($0 % 50 == 0 ? 0.95 : 0.1)])
                }
            )
            let seen = Seen()
            let first = try await open(server, node: "first")
            let subscription = try await first.subscribe(
                durable: "filtered",
                to: "events.user.load",
                configuration: configuration
            ) { seen.add($0.sequence) }
            try await eventually("a part to be seen") { seen.sequences.count >= 20 }
            await server.kill()
            try await server.restart()
            try await eventually("a larger part to be seen") { seen.sequences.count >= 60 }
            // As a process that is killed: nothing is handed back.
            try await #require(first.bus.transport as? NATSTransport).close()
            let second = try await open(server, node: "second")
            let rest = try await second.subscribe(
                durable: "filtered",
                to: "events.user.load",
                configuration: configuration
            ) { seen.add($0.sequence) }
            // The sequences of all events with a high load, the second of them aside.
            let wanted = Set(stride(from: UInt64(1), to: UInt64(total), by: 50)).subtracting([51])
            try await eventually("the events that pass", reaches: wanted.count) { seen.sequences.count }
            #expect(seen.sequences == wanted)
            let jetStream = JetStream(connection: try await NATSConnection.connect(to: server.url))
            try await eventually("the others to be acknowledged too") {
                let info = try await jetStream.consumerInfo("filtered", on: "MESH_EVENTS")
                return info.pending == 0 && info.acknowledgementsPending == 0
            }
            #expect(subscription.skipped > 0 && rest.skipped > 0)
            #expect(subscription.deadLettered + rest.deadLettered == 0)
            try await rest.drain()
            await jetStream.connection.close()
        }
    }

    @Test(
        "an acknowledgement that returned is the server's; the consumer is what it is said to be",
        arguments: NATSServers.all
    )
    func confirmed(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let bus = try await open(server)
            for _ in 0..<3 { try await bus.emit("user.a") }
            let subscription = try await bus.subscribe(durable: "plain", to: "events.user.a")
            let jetStream = JetStream(connection: try await NATSConnection.connect(to: server.url))
            var iterator = subscription.makeAsyncIterator()
            for number in 1...3 {
                let delivery = try #require(try await iterator.next())
                #expect(delivery.sequence == UInt64(number))
                try await delivery.ack()
                let info = try await jetStream.consumerInfo("plain", on: "MESH_EVENTS")
                #expect(info.acknowledgementsPending <= 3 - number)
            }
            let configuration = try await jetStream.consumerInfo("plain", on: "MESH_EVENTS").configuration
            #expect(configuration.acknowledgementPolicy == .explicit)
            #expect(configuration.acknowledgementWait == .seconds(30))
            #expect(configuration.maximumDeliveries == nil)
            #expect(configuration.filterSubjects == ["events.user.a"])
            #expect(configuration.inactiveThreshold ?? .zero == .zero)
            #expect(configuration.durableName == "plain")
            try await subscription.drain()
            await jetStream.connection.close()
        }
    }

    @Test("a consumer of somebody else's making is refused, with what differs", arguments: NATSServers.all)
    func foreign(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let bus = try await open(server)
            let jetStream = JetStream(connection: try await NATSConnection.connect(to: server.url))
            _ = try await jetStream.createConsumer(
                ConsumerConfiguration(durableName: "theirs", acknowledgementPolicy: .all, maximumDeliveries: 3),
                on: "MESH_EVENTS"
            )
            let error = await #expect(throws: MeshEventsError.self) { try await bus.subscribe(durable: "theirs") }
            #expect(error?.code == .durableMismatch)
            for word in ["max_deliver", "ack_policy", "maximum deliveries"] {
                #expect(error?.message.contains(word) == true, "\(word): \(error?.message ?? "")")
            }
            #expect(error?.message.contains("pattern") == false)
            await jetStream.connection.close()
        }
    }

    @Test(
        "the server is away while an event is handled: it is acknowledged afterwards, and not handled twice",
        arguments: NATSServers.all
    )
    func awayWhileHandling(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let bus = try await open(server)
            try await bus.emit("user.a")
            let seen = Seen()
            let isBack = Mutex(false)
            let subscription = try await bus.subscribe(
                durable: "away",
                configuration: .init(acknowledgementWait: .seconds(1))
            ) { delivery in
                seen.add(delivery.sequence)
                while !isBack.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(20)) }
            }
            try await eventually("the handler to begin") { seen.deliveries == 1 }
            await server.kill()
            try await server.restart()
            // Long enough for the server to deliver it again.
            try await Task.sleep(for: .seconds(3))
            isBack.withLock { $0 = true }
            try await eventually("the acknowledgement") { subscription.acknowledged == 1 }
            try await bus.emit("user.b")
            try await eventually("the next event") { subscription.acknowledged == 2 }
            #expect(seen.deliveries == 2)
            try await subscription.drain()
        }
    }

    @Test("JetStream off, no stream, a pattern outside the stream: a clear error, no hang", arguments: NATSServers.all)
    func failures(binary: NATSServers.Binary) async throws {
        func code(_ store: JetStreamStore) async -> MeshEventsError.Code? {
            let configuration = DurableDefinition(
                name: "d",
                pattern: "events.user.>",
                start: .beginning,
                acknowledgementWait: .seconds(30),
                maximumDeliveries: 5
            )
            let begin = ContinuousClock.now
            do {
                _ = try await store.openDurable(configuration, reconcile: .fail)
                return nil
            } catch {
                #expect(.now - begin < .seconds(12))
                return error.code
            }
        }
        try await withStore(binary, .init(jetStream: false)) { store, _, _ in
            #expect(await code(store) == .persistenceUnavailable)
        }
        try await withStore(binary) { store, _, _ in
            #expect(await code(store) == .streamNotFound)
            let narrow = StreamConfiguration(name: "MESH_EVENTS", subjects: ["events.tool.>"])
            _ = try await store.jetStream.createStream(narrow)
            let found = await code(store)
            // Servers from 2.10 take a filter that matches nothing.
            #expect(found == .streamMismatch || found == nil)
        }
    }
}
