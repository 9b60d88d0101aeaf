import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import Synchronization
import TestSupport
import Testing

/// Durable subscriptions over links on which an event takes longer than its acknowledgement wait.
@Suite("Durable subscriptions over slow links", .timeLimit(.minutes(60)))
struct SlowDurableTests {
    @Test(
        "an event that is on its way for longer than the acknowledgement wait is delivered once",
        arguments: NATSServers.all
    )
    func longTransfer(binary: NATSServers.Binary) async throws {
        // The wait is extended three times while it lasts, by a process that runs: a busy machine needs a longer one.
        for wait: Duration in [.milliseconds(1_500), .seconds(6), .seconds(24)] {
            let watch = StallWatch()
            let outcome = try await transfer(binary, wait: wait)
            guard watch.longestStall < wait / 3 else { continue }
            #expect(outcome.deliveries == .init(uniqueKeysWithValues: outcome.deliveries.keys.map { ($0, [1]) }))
            #expect(outcome.redelivered == 0)
            #expect(outcome.moved < 1.1, "bytes that came for each that is stored")
            return
        }
        Issue.record("the machine stops this process for longer than 8 seconds")
    }

    private struct Outcome {
        /// The numbers of the deliveries of each event.
        var deliveries: [UInt64: [Int]]
        var redelivered: UInt64
        /// How many bytes came for each byte of the events.
        var moved: Double
    }

    /// Handles small and large events over a link on which the largest takes more than three times the wait.
    private func transfer(_ binary: NATSServers.Binary, wait: Duration) async throws -> Outcome {
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
            proxy.treat { $0.bytesPerSecondDown = Int(60_000 / (wait / .seconds(1))) }
            let before = proxy.down.bytes
            let deliveries = Mutex<[UInt64: [Int]]>([:])
            let subscription = try await worker.subscribe(
                durable: "slow",
                to: "events.user.large",
                configuration: .init(acknowledgementWait: wait, concurrency: 32)
            ) { delivery in
                deliveries.withLock { $0[delivery.sequence, default: []].append(delivery.deliveries) }
            }
            try await eventually(within: wait * 40, "all events to be handled") {
                subscription.acknowledged == UInt64(sizes.count)
            }
            let outcome = Outcome(
                deliveries: deliveries.withLock { $0 },
                redelivered: subscription.redelivered,
                moved: Double(proxy.down.bytes - before) / Double(sizes.reduce(0, +))
            )
            #expect(outcome.deliveries.count == sizes.count)
            try await subscription.drain()
            await proxy.stop()
            return outcome
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
