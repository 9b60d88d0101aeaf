import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import TestSupport
import Testing

/// Reading a stream whose messages get lost, and one whose server or consumers have limits of their own.
@Suite("Reading through losses and limits", .timeLimit(.minutes(3)))
struct ReadingFaultTests {
    private func fill(_ transport: NATSTransport, _ count: Int) async throws -> PersistentEventBus {
        let bus = try await PersistentEventBus.open(
            transport: transport,
            node: "n",
            configuration: PersistentEventBus.Configuration(maximumMessages: nil),
            logger: quiet
        )
        _ = try await bus.emit(contentsOf: (0..<count).map { Event($0 % 3 == 0 ? "user.k0" : "user.k1") })
        return bus
    }

    // MARK: Losses

    @Test("a delivery that is lost on its way is read again", arguments: NATSServers.all)
    func lostDelivery(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { _, transport, server in
            _ = try await fill(transport, 300)
            let lost = Counter()
            let proxy = try await MessageLossProxy.start(before: server.port) { _, replyTo in
                // Of every second reading, the fifth delivery.
                guard let position = AcknowledgementSubject(replyTo), position.consumerSequence == 5 else {
                    return false
                }
                return lost.add() % 2 == 1
            }
            let reader = try await NATSTransport.connect(to: proxy.url)
            let store = JetStreamStore(reader.connection)
            for pattern: EventPattern in [.all, "events.user.k0"] {
                let step = pattern == .all ? 1 : 3
                let all = stride(from: UInt64(1), through: 300, by: step).map { $0 }
                let newest = try await store.newest(50, matching: pattern, before: nil, timeout: .seconds(20))
                #expect(newest.map(\.sequence) == Array(all.suffix(50)))
                let before = try await store.newest(20, matching: pattern, before: 200, timeout: .seconds(20))
                #expect(before.map(\.sequence) == Array(all.filter { $0 < 200 }.suffix(20)))
                let first = try await store.first(50, matching: pattern, from: .sequence(100), timeout: .seconds(20))
                #expect(first.map(\.sequence) == Array(all.filter { $0 >= 100 }.prefix(50)))
            }
            #expect(lost.count >= 6)
            await reader.close()
            await proxy.stop()
        }
    }

    @Test("no consumer is left behind by a query, also one that reads backwards", arguments: NATSServers.all)
    func consumersAreDeleted(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            let bus = try await fill(transport, 5_000)
            for _ in 0..<5 {
                for pattern: EventPattern in [.all, "events.user.k0", "events.user.none"] {
                    for before in [nil, 4_000, 100] as [UInt64?] {
                        let page = try await bus.history(.init(matching: pattern, limit: 200, before: before))
                        let most = before.map { Int($0) - 1 } ?? 5_000
                        let matching = pattern == .all ? most : pattern == "events.user.k0" ? (most + 2) / 3 : 0
                        #expect(page.events.count == min(200, matching))
                    }
                }
            }
            // Deleting is not waited for.
            try await eventually("the consumers to be deleted") {
                try await store.jetStream.consumers(on: store.streamName).isEmpty
            }
        }
    }

    // MARK: Limits of the server

    /// A server whose consumers may be asked for so many messages at once.
    private func withLimit(
        _ binary: NATSServers.Binary,
        _ limit: Int,
        _ body: (JetStreamStore, NATSTransport) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        let jetStream = "jetstream { store_dir: \"\(directory.path)\", limits { max_request_batch: \(limit) } }"
        try await withStore(binary, .init(jetStream: false, extraConfiguration: jetStream)) { store, transport, _ in
            try await body(store, transport)
        }
    }

    @Test("max_request_batch of a server: history and replay keep to it", arguments: NATSServers.all)
    func requestBatch(binary: NATSServers.Binary) async throws {
        try await withLimit(binary, 500) { store, transport in
            let bus = try await fill(transport, 2_500)
            let requests = try await transport.connection.subscribe(to: "$JS.API.CONSUMER.>")
            let asked = Counter()
            let counting = Task { for try await _ in requests { asked.add() } }
            #expect(try await store.newest(1_500, matching: .all, before: nil, timeout: .seconds(20)).count == 1_500)
            #expect(
                try await store.first(1_500, matching: .all, from: .sequence(1), timeout: .seconds(20)).count == 1_500
            )
            var exported = 0
            for try await _ in bus.historyReader.events(pageSize: 1_000) { exported += 1 }
            #expect(exported == 2_500)
            let replay = try await bus.replay()
            let replayed = try await withDeadline(.seconds(30), "2 500 events") {
                var count = 0
                for try await element in replay {
                    if element.event != nil { count += 1 }
                    if element == .caughtUp { break }
                }
                return count
            }
            #expect(replayed == 2_500)
            #expect(asked.count < 100, "\(asked.count) requests")
            counting.cancel()
        }
    }

    /// A durable as this package makes it, to be given limits of its own.
    private func durable(_ name: String) -> ConsumerConfiguration {
        ConsumerConfiguration(
            durableName: name,
            acknowledgementWait: .seconds(30),
            filterSubjects: ["events.>"],
            descriptionText: "mesh-events durable, maximum deliveries 5"
        )
    }

    @Test("limits of a durable's own: events arrive, however few a request may ask for", arguments: NATSServers.all)
    func limitedDurable(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            let bus = try await fill(transport, 30)
            var configuration = durable("theirs")
            configuration.maximumRequestBatch = 2
            configuration.otherFields = ["max_expires": 1_000_000_000]
            _ = try await store.jetStream.createConsumer(configuration, on: store.streamName)
            let handled = Counter()
            let subscription = try await bus.subscribe(
                durable: "theirs",
                to: .all,
                configuration: .init(maximumDeliveries: 5, concurrency: 4, maximumOutstanding: 16)
            ) { _ in handled.add() }
            try await eventually("30 events") { handled.count == 30 }
            _ = try await bus.emit(EventType("user.k0"))
            try await eventually("the event that came") { handled.count == 31 }
            subscription.cancel()
        }
    }

    @Test("a durable that no request can satisfy ends with an error that names the limit", arguments: NATSServers.all)
    func impossibleDurable(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            let bus = try await fill(transport, 3)
            var configuration = durable("tiny")
            configuration.otherFields = ["max_bytes": 10]
            _ = try await store.jetStream.createConsumer(configuration, on: store.streamName)
            let subscription = try await bus.subscribe(durable: "tiny", to: .all) { _ in }
            let error = await #expect(throws: MeshEventsError.self) {
                try await withDeadline(.seconds(30), "an error") { try await subscription.waitUntilEnded() }
            }
            #expect(error?.code == .serverRefused)
            #expect(error?.message.contains("max_bytes") == true, "\(String(describing: error))")
        }
    }

    // MARK: Settings of others

    @Test("updating a durable keeps the settings that this client does not know", arguments: NATSServers.all)
    func unknownSettings(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            let bus = try await fill(transport, 1)
            try await bus.subscribe(durable: "d", to: .all) { _ in }.drain()
            var configuration = try await store.jetStream.consumerInfo("d", on: store.streamName).configuration
            configuration.otherFields["sample_freq"] = "75%"
            _ = try await store.jetStream.createConsumer(configuration, on: store.streamName)
            let changed = DurableSubscription.Configuration(acknowledgementWait: .seconds(77), reconcile: .update)
            try await bus.subscribe(durable: "d", to: .all, configuration: changed) { _ in }.drain()
            let found = try await store.jetStream.consumerInfo("d", on: store.streamName).configuration
            #expect(found.acknowledgementWait == .seconds(77))
            #expect(found.otherFields["sample_freq"] == "75%")
        }
    }

    @Test("a durable that another process creates at the same moment is not changed")
    func createOnly() async throws {
        try await withStore(NATSServers.current) { store, transport, _ in
            _ = try await fill(transport, 1)
            let theirs = ConsumerConfiguration(durableName: "d", acknowledgementWait: .seconds(11))
            _ = try await store.jetStream.createConsumer(theirs, on: store.streamName)
            let ours = ConsumerConfiguration(durableName: "d", acknowledgementWait: .seconds(22))
            let error = await #expect(throws: JetStreamError.self) {
                _ = try await store.jetStream.createConsumer(ours, on: store.streamName, action: .create)
            }
            #expect(error?.errorCode == .consumerExists)
            let found = try await store.jetStream.consumerInfo("d", on: store.streamName).configuration
            #expect(found.acknowledgementWait == .seconds(11))
        }
    }
}
