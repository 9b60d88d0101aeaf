import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import NIOCore
import Synchronization
import TestSupport
import Testing

@Suite("The bus over NATS", .timeLimit(.minutes(5)))
struct BusOverNATSTests {
    private func bus(_ server: LocalNATSServer, node: String = "node-a") async throws -> EventBus {
        EventBus(transport: NATSTransport(try await connect(server)), node: node, logger: quiet)
    }

    @Test("a subscription is active when subscribe returns, 1 000 times", arguments: NATSServers.all)
    func activeAtOnce(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let emitter = try await bus(server)
            let receiver = try await bus(server, node: "node-b")
            for number in 0..<1000 {
                let type = try EventType("user.round.\(number)")
                let subscription = try await receiver.subscribe(to: .type(type))
                try emitter.emit(type, ["number": .init(number)])
                let event = try await withDeadline(.seconds(10), "event \(number)") {
                    var iterator = subscription.makeAsyncIterator()
                    return try await iterator.next()
                }
                #expect(event?.data["number"]?.int == number)
                subscription.cancel()
            }
        }
    }

    @Test("8 threads emit 100 000 events each at once: all arrive, each thread's in order")
    func manyThreads() async throws {
        try await withServer { server in
            let emitter = try await bus(server)
            let receiver = try await bus(server, node: "node-b")
            let buffer = EventSubscription.Buffer(maximumEvents: 1_000_000, maximumBytes: 1 << 30)
            let subscription = try await receiver.subscribe(to: "events.user.flood.*", buffer: buffer)
            let threads = 8
            let count = 100_000
            // A server cuts off who is 64 MiB behind, as a receiver may be on a busy machine.
            let underWay = Atomic(0)
            let emitting = Task.detached {
                DispatchQueue.concurrentPerform(iterations: threads) { thread in
                    do {
                        let type = try EventType("user.flood.\(thread)")
                        for number in 0..<count {
                            while underWay.load(ordering: .relaxed) > 200_000 { Thread.sleep(forTimeInterval: 0.001) }
                            underWay.add(1, ordering: .relaxed)
                            try emitWaiting(emitter, type, ["n": .init(number)])
                        }
                    } catch {
                        Issue.record("thread \(thread): \(error)")
                    }
                }
            }
            let next = try await withDeadline(.seconds(240), "800 000 events") {
                // Who waits for room goes on in any case.
                defer { underWay.store(-threads * count, ordering: .relaxed) }
                var next = [Int](repeating: 0, count: threads)
                var received = 0
                for try await event in subscription {
                    let thread = Int(event.type.rawValue.split(separator: ".").last ?? "") ?? -1
                    guard event.data["n"]?.int == next[thread] else {
                        throw TestSupportError("thread \(thread): \(event.data) came instead of \(next[thread])")
                    }
                    next[thread] += 1
                    received += 1
                    underWay.subtract(1, ordering: .relaxed)
                    if received == threads * count { break }
                }
                return next
            }
            await emitting.value
            #expect(next == [Int](repeating: count, count: threads))
            #expect(subscription.dropped == 0 && subscription.malformed == 0)
        }
    }

    @Test(
        "a subscriber that waits over a killed server receives what is emitted after its return",
        arguments: NATSServers.all
    )
    func serverKilled(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let receiving = try await connect(server)
            let receiver = EventBus(transport: NATSTransport(receiving), node: "node-b", logger: quiet)
            let subscription = try await receiver.subscribe(to: "events.tool.*")
            let waiting = Task {
                var iterator = subscription.makeAsyncIterator()
                return try await iterator.next()
            }
            await server.kill()
            try await server.restart()
            try await status(of: receiving, "the return") { if case .reconnected = $0 { true } else { nil } }
            try await receiver.flush()
            try await bus(server).emit(ToolStarted(tool: "whisper"))
            let event = try await withDeadline(.seconds(20), "the event") { try await waiting.value }
            #expect(event?.type == .toolStarted)
        }
    }

    @Test("what the bus writes is exactly the wire contract: subject, members, order", arguments: NATSServers.all)
    func wire(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let raw = try await connect(server)
            let messages = try await raw.subscribe(to: "events.>")
            let bus = try await bus(server)
            try bus.emit(.toolCrashed(tool: "whisper", error: "OOM killed", restartCount: 2))
            try bus.emit(.user(topic: "a.b", data: nil))
            let received = try await take(2, from: messages)
            #expect(received.map(\.subject) == ["events.tool.crashed", "events.user.a.b"])
            #expect(received.allSatisfy { $0.headers.isEmpty })
            let first = received[0].text
            let time = try #require(first.firstMatch(of: /"timestamp":"([^"]+Z)"/)).1
            #expect(
                first == #"{"type":"tool.crashed","node":"node-a","timestamp":"\#(time)","#
                    + #""data":{"error":"OOM killed","restart_count":2,"tool":"whisper"}}"#
            )
            #expect(received[1].text.hasSuffix(#","data":null}"#))
        }
    }

    @Test("a forbidden emit is reported by the flush, a forbidden pattern by subscribe", arguments: NATSServers.all)
    func permissions(binary: NATSServers.Binary) async throws {
        let rules = """
            authorization { users: [ { user: u, password: p, permissions: {
              publish: { allow: ["events.user.>"] }, subscribe: { allow: ["events.user.>", "_INBOX.>"] } } } ] }
            """
        try await withServer(binary, .init(extraConfiguration: rules)) { server in
            let transport = try await NATSTransport.connect(
                to: server.url,
                authentication: .userPassword(user: "u", password: "p"),
                logger: quiet
            )
            let bus = EventBus(transport: transport, node: "a", logger: quiet)
            try bus.emit("node.left")
            let emit = await #expect(throws: MeshEventsError.self) { try await bus.flush() }
            #expect(emit?.code == .permissionDenied)
            let subscribe = await #expect(throws: MeshEventsError.self) { try await bus.subscribe(to: "events.node.*") }
            #expect(subscribe?.code == .permissionDenied)
            let own = try await bus.subscribe(to: "events.user.>")
            try bus.emit("user.fine")
            let event = try await withDeadline(.seconds(10), "the allowed event") {
                var iterator = own.makeAsyncIterator()
                return try await iterator.next()
            }
            #expect(event?.type == "user.fine")
        }
    }
}

/// Emits from a plain thread, waiting while the outbound buffer is full; fails after a minute without progress.
private func emitWaiting(_ bus: EventBus, _ type: EventType, _ data: EventData) throws {
    for _ in 0..<60_000 {
        do throws(MeshEventsError) {
            return try bus.emit(type, data)
        } catch {
            guard error.code == .bufferFull else { throw error }
            Thread.sleep(forTimeInterval: 0.001)
        }
    }
    throw TestSupportError("the outbound buffer stayed full for a minute")
}
