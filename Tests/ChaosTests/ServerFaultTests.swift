import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import Synchronization
import TestSupport
import Testing

@Suite("Faults of the server", .serialized, .timeLimit(.minutes(15)))
struct ServerFaultTests {
    @Test("killed again and again: what is acknowledged is stored once, in order, and replayed once")
    func killed() async throws {
        try await withServer(NATSServers.current, .init(syncsEachWrite: false)) { server in
            let (rounds, count) = (ChaosScale.number(3, full: 10), ChaosScale.number(10_000, full: 200_000))
            let emitter = try await openBus(at: server.url)
            let witness = try await Witness(try await openBus(at: server.url, node: "reader"))
            let store = JetStreamStore(try await connect(server))
            let killer = Task {
                for round in 1...rounds {
                    let mark = UInt64(round * count / (rounds + 2))
                    try await eventually("the events", reaches: mark) { try await store.state().lastSequence }
                    await server.kill()
                    try await server.restart()
                }
            }
            let positions = try await emitter.emit(contentsOf: numbered(0..<count))
            try await killer.value
            let stored = try await witness.catchUp(store)
            #expect(stored == count)
            #expect(witness.sequences == Array(1...UInt64(count)))
            #expect(witness.numbers == Array(0..<count))
            var row = ChaosRow("server killed \(rounds) times")
            (row.sent, row.acknowledged, row.stored, row.received) = (count, positions.count, stored, witness.count)
            row.note = "each once, in order"
            row.report()
            await witness.stop()
        }
    }

    @Test("stopped: acknowledged emits end at their deadline, retriably; each is stored once or not at all")
    func stopped() async throws {
        try await withServer(NATSServers.current, .init(syncsEachWrite: false)) { server in
            let emitter = try await openBus(at: server.url, acknowledgementDeadline: .seconds(2))
            let witness = try await Witness(try await openBus(at: server.url, node: "reader"))
            let store = JetStreamStore(try await connect(server))
            let sent = Counter()
            let timedOut = Counter()
            let acknowledged = NumberSet()
            let stop = Counter()
            var emitting: [Task<Void, Never>] = []
            for worker in 0..<4 {
                let task = Task {
                    var number = worker
                    while stop.count == 0 {
                        sent.add()
                        do throws(MeshEventsError) {
                            try await emitter.emit("user.chaos", ["n": .init(number)])
                            acknowledged.insert(number)
                        } catch {
                            timedOut.add()
                            #expect(error.code == .timeout && error.isRetriable, "\(error)")
                        }
                        number += 4
                    }
                }
                emitting.append(task)
            }
            for round in 1...ChaosScale.number(1, full: 5) {
                let mark = acknowledged.all.count + 100
                try await eventually("events before stop \(round)") { acknowledged.all.count > mark }
                server.suspend()
                let before = timedOut.count
                // Each emitter twice.
                try await eventually("the time-outs", reaches: before + 8) { timedOut.count }
                server.resume()
            }
            let mark = acknowledged.all.count + 100
            try await eventually("events after it") { acknowledged.all.count > mark }
            stop.add()
            for task in emitting { await task.value }
            try await emitter.bus.flush()
            let stored = try await witness.catchUp(store)
            let numbers = Set(witness.numbers)
            #expect(numbers.count == witness.count, "none is stored twice")
            #expect(acknowledged.all.isSubset(of: numbers), "what is acknowledged is stored")
            #expect(acknowledged.all.count + timedOut.count == sent.count)
            var row = ChaosRow("server stopped (SIGSTOP)")
            (row.sent, row.acknowledged, row.stored) = (sent.count, acknowledged.all.count, stored)
            row.received = witness.count
            row.note = "\(timedOut.count) timed out, \(stored - acknowledged.all.count) of them stored, none twice"
            row.report()
            await witness.stop()
        }
    }

    @Test("stopped: plain emits wait in the buffer up to its bound, then say so; what was accepted arrives")
    func stoppedPlain() async throws {
        try await withServer(NATSServers.current, .init(jetStream: false)) { server in
            var settings = try configuration(server)
            settings.maximumPendingBytes = 1 << 20
            let transport = try await NATSTransport.connect(settings, logger: quiet)
            let emitter = EventBus(transport: transport, node: "emitter", logger: quiet)
            let receiver = EventBus(transport: NATSTransport(try await connect(server)), node: "reader", logger: quiet)
            let buffer = EventSubscription.Buffer(maximumEvents: 1_000_000, maximumBytes: 1 << 30)
            let subscription = try await receiver.subscribe(to: "events.user.chaos", buffer: buffer)
            server.suspend()
            var (sent, refused) = (0, 0)
            for event in numbered(0..<50_000, padding: 1_000) {
                do throws(MeshEventsError) {
                    try emitter.emit(event)
                    sent += 1
                } catch {
                    #expect(error.code == .bufferFull && error.isRetriable, "\(error)")
                    refused += 1
                }
                if refused == 1_000 { break }
            }
            #expect(refused == 1_000, "the buffer has a bound")
            server.resume()
            try await emitter.flush(timeout: .seconds(30))
            try await subscription.drain()
            var received = 0
            for try await _ in subscription { received += 1 }
            #expect(received == sent)
            var row = ChaosRow("server stopped, plain emits")
            (row.sent, row.received) = (sent, received)
            row.note = "\(refused) more refused with bufferFull"
            row.report()
            await transport.close()
        }
    }

    @Test("slow: everything arrives, acknowledged and not, and emitters are held back")
    func slow() async throws {
        try await withServer(NATSServers.current, .init(syncsEachWrite: false)) { server in
            let proxy = try await TCPProxy.start(before: server.port)
            proxy.treat {
                $0.delay = .milliseconds(20)
                $0.bytesPerSecond = 2 << 20
            }
            let count = ChaosScale.number(5_000, full: 100_000)
            let emitter = try await openBus(at: proxy.url)
            let witness = try await Witness(try await openBus(at: proxy.url, node: "reader"))
            let store = JetStreamStore(try await connect(server))
            let start = ContinuousClock.now
            let positions = try await emitter.emit(contentsOf: numbered(0..<count))
            try await emitter.bus.emit(contentsOf: numbered(count..<2 * count))
            try await emitter.bus.flush(timeout: .seconds(60))
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            let stored = try await witness.catchUp(store, within: .seconds(240))
            #expect(witness.numbers == Array(0..<2 * count))
            var row = ChaosRow("link of 2 MiB/s and 20 ms")
            (row.sent, row.acknowledged, row.stored) = (2 * count, positions.count, stored)
            row.received = witness.count
            row.note = "half of them plain; \(Int(Double(2 * count) / seconds)) a second"
            row.report()
            await witness.stop()
            await proxy.stop()
        }
    }
}

/// Numbers that several tasks put together.
private final class NumberSet: Sendable {
    private let numbers = Mutex<Set<Int>>([])

    var all: Set<Int> { numbers.withLock { $0 } }

    func insert(_ number: Int) { numbers.withLock { _ = $0.insert(number) } }
}
