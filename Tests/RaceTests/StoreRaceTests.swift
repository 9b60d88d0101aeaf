import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import Synchronization
import TestSupport
import Testing

/// Acknowledged events, a replay and a durable subscription, while connections are cut in the middle of messages.
@Suite("Races of the store", .timeLimit(.minutes(5)))
struct StoreRaceTests {
    @Test("acknowledged over cuts: stored once, in each emitter's order, replayed once, handled at least once")
    func cuts() async throws {
        try await withServer(NATSServers.current, .init(syncsEachWrite: false)) { server in
            let proxy = try await TCPProxy.start(before: server.port)
            proxy.treat { $0.cutAfter = 20_000...200_000 }
            let (emitters, count) = (3, 1_000)
            let total = emitters * count
            func open(_ node: String) async throws -> PersistentEventBus {
                try await PersistentEventBus.open(
                    transport: NATSTransport(try await connect(at: proxy.url)),
                    node: node,
                    logger: quiet
                )
            }
            let reader = try await open("reader")
            let replayed = Mutex<[StoredEvent]>([])
            let replaying = Task {
                for try await element in try await reader.replay() {
                    if let event = element.event { replayed.withLock { $0.append(event) } }
                }
            }
            let handled = Mutex<Set<UInt64>>([])
            let durable = try await reader.subscribe(
                durable: "watcher",
                configuration: .init(acknowledgementWait: .seconds(5), concurrency: 16)
            ) { delivery in
                handled.withLock { _ = $0.insert(delivery.sequence) }
            }
            let emitting = (0..<emitters).map { emitter in
                Task {
                    let bus = try await open("emitter-\(emitter)")
                    try await bus.emit(contentsOf: (0..<count).map { Event("user.cut", data: ["n": .init($0)]) })
                    await bus.close()
                }
            }
            try await withDeadline(.seconds(200), "the emitters") {
                for task in emitting { try await task.value }
            }
            try await eventually("replay and durable to have all") {
                replayed.withLock { $0.count } >= total && handled.withLock { $0.count } >= total
            }
            let events = replayed.withLock { $0 }
            #expect(events.map(\.sequence) == Array(1...UInt64(total)))
            for emitter in 0..<emitters {
                let own = events.filter { $0.event.node == "emitter-\(emitter)" }
                #expect(own.map { $0.event.data["n"]?.int } == Array(0..<count), "emitter \(emitter)")
            }
            #expect(proxy.cuts > 0)
            durable.cancel()
            await reader.close()
            _ = await replaying.result
            await proxy.stop()
        }
    }
}
