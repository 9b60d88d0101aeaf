import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import Synchronization
import TestSupport
import Testing

/// Durable subscriptions over links on which an event takes longer than its acknowledgement wait.
@Suite("Durable subscriptions over slow links", .timeLimit(.minutes(5)))
struct SlowDurableTests {
    @Test(
        "an event that is on its way for longer than the acknowledgement wait is delivered once",
        arguments: NATSServers.all
    )
    func longTransfer(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let emitter = try await open("nats://127.0.0.1:\(server.port)")
            // A large one in a request with small ones before it, and one that is too large for a request with others.
            let small = Array(repeating: 100, count: 10)
            let sizes = small + [100_000, 200_000] + small
            for size in sizes {
                try await emitter.emit("user.large", ["p": .init(String(repeating: "x", count: size))])
            }

            let proxy = try await TCPProxy.start(before: server.port, pieces: 400)
            let worker = try await open(proxy.url)
            proxy.treat { $0.bytesPerSecondDown = 40_000 }
            let before = proxy.down.bytes
            let deliveries = Mutex<[UInt64: [Int]]>([:])
            let subscription = try await worker.subscribe(
                durable: "slow",
                to: "events.user.large",
                configuration: .init(acknowledgementWait: .milliseconds(1_500), concurrency: 32)
            ) { delivery in
                deliveries.withLock { $0[delivery.sequence, default: []].append(delivery.deliveries) }
            }
            try await eventually("all events to be handled") {
                subscription.acknowledged == UInt64(sizes.count)
            }
            #expect(
                deliveries.withLock { $0 } == .init(uniqueKeysWithValues: (1...UInt64(sizes.count)).map { ($0, [1]) })
            )
            #expect(subscription.redelivered == 0)
            let moved = proxy.down.bytes - before
            #expect(Double(moved) < Double(sizes.reduce(0, +)) * 1.1, "\(moved) bytes")
            try await subscription.drain()
            await proxy.stop()
        }
    }

    private func open(_ address: String) async throws -> PersistentEventBus {
        try await PersistentEventBus.open(
            transport: NATSTransport(try await connect(at: address)),
            node: "n",
            configuration: .init(maximumMessages: nil),
            logger: quiet
        )
    }
}
