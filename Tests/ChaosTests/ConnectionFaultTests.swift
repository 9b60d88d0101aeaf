import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import Synchronization
import TestSupport
import Testing

@Suite("Faults of the connection", .serialized, .timeLimit(.minutes(15)))
struct ConnectionFaultTests {
    @Test("reset in the middle of messages: stored once, in order; a replay and a durable over the same link have all")
    func cutMidMessage() async throws {
        try await withServer(NATSServers.current, .init(syncsEachWrite: false)) { server in
            let proxy = try await TCPProxy.start(before: server.port)
            let count = ChaosScale.number(3_000, full: 15_000)
            // A message of a kilobyte is cut in its middle nearly every time.
            proxy.treat { $0.cutAfter = 100_000...400_000 }
            let emitter = try await openBus(at: proxy.url)
            let reader = try await openBus(at: proxy.url, node: "reader")
            let witness = try await Witness(reader)
            let handled = Mutex<[Int: Int]>([:])
            let durable = try await reader.subscribe(
                durable: "chaos",
                // What a cut takes with it counts as delivered.
                configuration: .init(acknowledgementWait: .seconds(5), maximumDeliveries: 20, concurrency: 32)
            ) { delivery in
                handled.withLock { $0[delivery.event.data["n"]?.int ?? -1, default: 0] += 1 }
            }
            let store = JetStreamStore(try await connect(server))
            let positions = try await emitter.emit(contentsOf: numbered(0..<count, padding: 1_000))
            let stored = try await witness.catchUp(store, within: .seconds(120))
            try await eventually("what the durable has", reaches: count) { handled.withLock { $0.count } }
            #expect(stored == count)
            #expect(witness.sequences == Array(1...UInt64(count)))
            #expect(witness.numbers == Array(0..<count))
            #expect(proxy.cuts > 5)
            let deliveries = handled.withLock { $0.values.reduce(0, +) }
            var row = ChaosRow("connection reset in mid-message, \(proxy.cuts) times")
            (row.sent, row.acknowledged, row.stored, row.received) = (count, positions.count, stored, witness.count)
            row.note = "the durable: \(handled.withLock { $0.count }), \(deliveries - count) of them again"
            row.report()
            durable.cancel()
            await witness.stop()
            await proxy.stop()
        }
    }

    /// One every five seconds, for an hour, without the waiting.
    @Test("an hour of reconnects: nothing acknowledged is lost, and nothing piles up, here or on the server")
    func hourOfReconnects() async throws {
        try await withServer(
            NATSServers.current,
            .init(syncsEachWrite: false, extraConfiguration: SubscriptionCount.accounts)
        ) { server in
            let proxy = try await TCPProxy.start(before: server.port)
            let count = ChaosScale.number(60, full: 720)
            let emitter = try await openBus(at: proxy.url)
            let transport = NATSTransport(try await connect(at: proxy.url))
            let receiver = EventBus(transport: transport, node: "reader", logger: quiet)
            let subscriptions = try await (0..<20).asyncMap {
                try await receiver.subscribe(to: try EventPattern("events.user.s\($0)"))
            }
            let counter = try await SubscriptionCount(server)
            let witness = try await Witness(try await openBus(at: server.url, node: "witness"))
            let store = JetStreamStore(try await connect(server))
            func held() async throws -> Int {
                try await counter.ofClient(try #require(await transport.connection.serverInfo?.clientID))
            }
            let before = try await held()
            var use: ProcessUse?
            for round in 0..<count {
                try await emitter.emit("user.chaos", ["n": .init(round)])
                let connections = proxy.connections
                proxy.cut()
                try await eventually("reconnect \(round)") {
                    proxy.connections >= connections + 2
                }
                try await receiver.flush(timeout: .seconds(30))
                if round == count / 4 { use = try ProcessUse() }
            }
            let after = try ProcessUse()
            let first = try #require(use)
            #expect(after.descriptors <= first.descriptors + 4, "\(first) before, \(after) after")
            #expect(after.threads <= first.threads + 4)
            #expect(after.residentBytes - first.residentBytes < 32 << 20)
            #expect(try await held() == before)
            // All 20 are still heard.
            for number in 0..<20 { try emitter.bus.emit(Event(try EventType("user.s\(number)"))) }
            for subscription in subscriptions {
                let event = try await withDeadline(.seconds(10), "an event after it all") {
                    var iterator = subscription.makeAsyncIterator()
                    return try await iterator.next()
                }
                #expect(event != nil)
            }
            _ = try await witness.catchUp(store)
            let numbers = witness.numbers.filter { $0 >= 0 }
            #expect(numbers == Array(0..<count))
            var row = ChaosRow("\(count) reconnects of two clients")
            (row.sent, row.acknowledged, row.stored, row.received) = (count, count, numbers.count, numbers.count)
            row.note =
                "descriptors \(first.descriptors) → \(after.descriptors), threads \(first.threads) → "
                + "\(after.threads), memory \(first.residentBytes >> 20) → \(after.residentBytes >> 20) MiB"
            row.report()
            await witness.stop()
            await proxy.stop()
        }
    }

    @Test("10 000 subscriptions are opened, each gets its event, and are cancelled: the server has none of them left")
    func manySubscriptions() async throws {
        try await withServer(
            NATSServers.current,
            .init(extraConfiguration: SubscriptionCount.accounts)
        ) { server in
            let transport = NATSTransport(try await connect(server))
            let bus = EventBus(transport: transport, node: "reader", logger: quiet)
            let emitter = EventBus(transport: NATSTransport(try await connect(server)), node: "emitter", logger: quiet)
            let counter = try await SubscriptionCount(server)
            let id = try #require(await transport.connection.serverInfo?.clientID)
            let count = 10_000
            let before = try await counter.ofClient(id)
            let rounds = ChaosScale.number(1, full: 5)
            var received = 0
            for _ in 0..<rounds {
                let subscriptions = try await withThrowingTaskGroup(of: [EventSubscription].self) { group in
                    for worker in 0..<50 {
                        group.addTask {
                            try await stride(from: worker, to: count, by: 50).asyncMap {
                                try await bus.subscribe(to: try EventPattern("events.user.s\($0)"))
                            }
                        }
                    }
                    return try await group.reduce(into: []) { $0 += $1 }
                }
                #expect(subscriptions.count == count)
                #expect(try await counter.ofClient(id) == before + count)
                for number in 0..<count { try emitter.emit(Event(try EventType("user.s\(number)"))) }
                try await emitter.flush(timeout: .seconds(30))
                try await eventually("an event for each") {
                    subscriptions.allSatisfy { $0.received == 1 }
                }
                received += subscriptions.reduce(0) { $0 + Int($1.received) }
                for subscription in subscriptions { subscription.cancel() }
                try await eventually("the server to forget them") {
                    try await counter.ofClient(id) == before
                }
            }
            var row = ChaosRow("10 000 subscriptions opened and cancelled")
            (row.sent, row.received) = (count * rounds, received)
            row.note = "the server holds \(try await counter.ofClient(id) - before) of them afterwards"
            row.report()
            await transport.close()
        }
    }
}

extension Sequence {
    /// One after the other.
    fileprivate func asyncMap<Result>(_ body: (Element) async throws -> Result) async throws -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await body(element)) }
        return results
    }
}
