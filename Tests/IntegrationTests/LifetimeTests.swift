import LocalNATSServer
import Logging
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import NATSClient
import NIOCore
import ServiceLifecycle
import TestSupport
import Testing

/// Connections, transports and buses that end with a scope or with a service group.
@Suite("Lifetimes", .timeLimit(.minutes(5)))
struct LifetimeTests {
    private struct Failure: Error {}

    @Test("what is published in a scope has arrived when it ends", arguments: NATSServers.all)
    func connectionScope(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let reader = try await connect(server)
            let subscription = try await reader.subscribe(to: "greetings")
            let count = 2_000
            let kept = try await NATSConnection.withConnection(to: server.url) { connection in
                for number in 0..<count { try connection.publish(ByteBuffer(string: "\(number)"), to: "greetings") }
                return connection
            }
            #expect(throws: NATSError.self) { try kept.publish(ByteBuffer(), to: "greetings") }
            try await reader.flush()
            var received = 0
            for try await _ in subscription {
                received += 1
                if received == count { break }
            }
            #expect(received == count)
            await reader.close()
        }
    }

    @Test("a scope that throws closes the connection, and passes the error on")
    func failingScope() async throws {
        try await withServer(NATSServers.first) { server in
            let kept = Locked<NATSConnection?>(nil)
            await #expect(throws: Failure.self) {
                try await NATSConnection.withConnection(to: server.url) { connection in
                    kept.withLock { $0 = connection }
                    throw Failure()
                }
            }
            let connection = try #require(kept.withLock { $0 })
            #expect(throws: NATSError.self) { try connection.publish(ByteBuffer(), to: "x") }
            await #expect(throws: Failure.self) {
                try await PersistentEventBus.withBus(to: server.url, node: "n") { _ in throw Failure() }
            }
        }
    }

    @Test("a bus in a scope emits, subscribes and is closed behind it", arguments: NATSServers.all)
    func busScope(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let kept = try await PersistentEventBus.withBus(to: server.url, node: "n", logger: quiet) { bus in
                let type = try await bus.withSubscription(to: "user.>") { events in
                    try await bus.emit("user.first")
                    var first: EventType?
                    for try await event in events {
                        first = event.type
                        break
                    }
                    return first
                }
                #expect(type == "user.first")
                // Without an acknowledgement: it has to arrive all the same.
                try bus.bus.emit("user.second")
                return bus
            }
            await #expect(throws: MeshEventsError.self) { try await kept.emit("user.late") }
            let page = try await PersistentEventBus.withBus(to: server.url, node: "m", logger: quiet) { bus in
                try await eventually("the event without an acknowledgement") {
                    try await bus.history(matching: "user.>").count == 2
                }
                return try await bus.history(matching: "user.>").map(\.event.type)
            }
            #expect(page == ["user.first", "user.second"])
        }
    }

    @Test("in a service group, what was published before the shutdown arrives", arguments: NATSServers.all)
    func serviceGroup(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let reader = try await connect(server)
            let subscription = try await reader.subscribe(to: "events.user.>")
            let transport = try await NATSTransport.connect(to: server.url, logger: quiet)
            let bus = try await PersistentEventBus.open(transport: transport, node: "n", logger: quiet)
            let group = ServiceGroup(services: [transport, bus], logger: quiet)
            let running = Task { try await group.run() }
            for _ in 0..<1_000 { try bus.bus.emit("user.count") }
            await group.triggerGracefulShutdown()
            try await running.value
            await #expect(throws: MeshEventsError.self) { try await bus.emit("user.late") }
            try await reader.flush()
            var received = 0
            for try await _ in subscription {
                received += 1
                if received == 1_000 { break }
            }
            #expect(received == 1_000)
            await reader.close()
        }
    }

    @Test("a service whose connection is closed by its owner ends; one that is cancelled closes it")
    func ends() async throws {
        try await withServer(NATSServers.first) { server in
            let closed = try await connect(server)
            let running = Task { try await closed.run() }
            await closed.close()
            try await running.value

            let cancelled = try await connect(server)
            let task = Task { try await cancelled.run() }
            task.cancel()
            try await task.value
            #expect(throws: NATSError.self) { try cancelled.publish(ByteBuffer(), to: "x") }
        }
    }
}
