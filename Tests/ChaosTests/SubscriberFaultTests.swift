import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import Synchronization
import TestSupport
import Testing

@Suite("Faults of subscribers", .serialized, .timeLimit(.minutes(10)))
struct SubscriberFaultTests {
    private func bus(_ server: LocalNATSServer, _ node: String = "reader") async throws -> EventBus {
        EventBus(transport: NATSTransport(try await connect(server)), node: node, logger: quiet)
    }

    @Test("one that never reads: it keeps the newest, counts the rest, and holds back nobody on its connection")
    func neverReads() async throws {
        try await withServer(NATSServers.current, .init(jetStream: false)) { server in
            let count = ChaosScale.number(100_000, full: 2_000_000)
            let receiver = try await bus(server)
            let lazy = try await receiver.subscribe(buffer: .init(maximumEvents: 1_000))
            let eager = Mutex(0)
            let counted = try await receiver.subscribe(buffer: .init(maximumEvents: count)) { event in
                let number = event.data["n"]?.int
                let expected = eager.withLock { eager in
                    defer { eager += 1 }
                    return eager
                }
                #expect(number == expected)
            }
            let emitter = try await bus(server, "emitter")
            let memory = try ProcessUse().residentBytes
            for start in stride(from: 0, to: count, by: 20_000) {
                try await emitter.emit(contentsOf: numbered(start..<start + 20_000))
                try await emitter.flush(timeout: .seconds(60))
            }
            try await eventually("what the other one has", reaches: count) { eager.withLock { $0 } }
            let growth = try ProcessUse().residentBytes - memory
            #expect(lazy.received == UInt64(count))
            #expect(lazy.dropped == UInt64(count - 1_000))
            #expect(counted.dropped == 0)
            try await lazy.drain()
            var numbers: [Int?] = []
            for try await event in lazy { numbers.append(event.data["n"]?.int) }
            #expect(numbers == Array(count - 1_000..<count))
            var row = ChaosRow("subscriber that never reads")
            (row.sent, row.received, row.dropped) = (count, numbers.count, Int(lazy.dropped))
            row.note = "its neighbour got all \(eager.withLock { $0 }); memory \(growth >> 20) MiB more"
            row.report()
            await receiver.close()
        }
    }

    @Test("a handler that always throws is called for every event; as a durable, each ends as a dead letter")
    func throwing() async throws {
        struct Refused: Error {}
        try await withServer(NATSServers.current, .init(syncsEachWrite: false)) { server in
            let count = ChaosScale.number(200, full: 2_000)
            let emitter = try await openBus(at: server.url)
            let reader = try await openBus(at: server.url, node: "reader")
            let plain = try await reader.bus.subscribe(to: "events.user.chaos") { _ in throw Refused() }
            let durable = try await reader.subscribe(
                durable: "stubborn",
                to: "events.user.chaos",
                configuration: .init(redelivery: .constant(.milliseconds(10)), maximumDeliveries: 3, concurrency: 16)
            ) { _ in throw Refused() }
            let positions = try await emitter.emit(contentsOf: numbered(0..<count))
            try await eventually("the dead letters", reaches: UInt64(count)) { durable.deadLettered }
            try await eventually("the plain handler's errors", reaches: UInt64(count)) { plain.handlerErrors }
            let letters = try await reader.history(matching: "events.user.dead_letter.>", limit: count * 2).count
            #expect(letters == count)
            #expect(durable.failed == UInt64(3 * count))
            #expect(plain.received == UInt64(count) && plain.dropped == 0)
            var row = ChaosRow("handler that always throws")
            (row.sent, row.acknowledged, row.stored) = (count, positions.count, count)
            row.received = Int(plain.handlerErrors)
            row.note = "plain: called once each; durable: \(durable.failed) times, then \(letters) dead letters"
            row.report()
            durable.cancel()
            await reader.close()
        }
    }

    @Test("a handler that hangs for ever holds back nobody, and neither its cancellation nor closing waits for it")
    func hanging() async throws {
        try await withServer(NATSServers.current, .init(jetStream: false)) { server in
            let count = ChaosScale.number(20_000, full: 500_000)
            let receiver = try await bus(server)
            let hung = Mutex<[CheckedContinuation<Void, Never>]>([])
            let stuck = try await receiver.subscribe(buffer: .init(maximumEvents: 1_000)) { _ in
                // Deaf to cancellation, too.
                await withCheckedContinuation { continuation in hung.withLock { $0.append(continuation) } }
            }
            let calls = Counter()
            let other = try await receiver.subscribe(buffer: .init(maximumEvents: count, maximumBytes: .max)) { _ in
                calls.add()
            }
            let emitter = try await bus(server, "emitter")
            // In portions: a server cuts off who lags behind by 64 MiB, neighbours or not.
            for start in stride(from: 0, to: count, by: 20_000) {
                let end = min(start + 20_000, count)
                try await emitter.emit(contentsOf: numbered(start..<end))
                try await eventually("the other handler") {
                    calls.count == end && stuck.received == UInt64(end)
                }
            }
            // What it has in hand, at most 512, and what waits, at most 1 000.
            #expect(stuck.dropped >= UInt64(count - 1_512))
            #expect(other.dropped == 0 && other.handlerErrors == 0)
            let drain = await #expect(throws: MeshEventsError.self) {
                try await stuck.drain(timeout: .milliseconds(200))
            }
            #expect(drain?.code == .timeout)
            try await withDeadline(.seconds(5), "the end of it") {
                stuck.cancel()
                await receiver.close()
            }
            #expect(hung.withLock { $0.count } == 1)
            for continuation in hung.withLock({ $0 }) { continuation.resume() }
            var row = ChaosRow("handler that hangs")
            (row.sent, row.received, row.dropped) = (count, calls.count, Int(stuck.dropped))
            row.note = "received by its neighbour, dropped by the one that hangs"
            row.report()
        }
    }
}
