import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import MeshSupervision
import NATSClient
import ServiceLifecycle
import TestSupport
import Testing

@Suite("A node over NATS", .timeLimit(.minutes(3)))
struct MeshNodeOverNATSTests {
    private func withNode(
        _ binary: NATSServers.Binary,
        _ configuration: MeshNode.Configuration,
        _ body: (LocalNATSServer, MeshNode, PersistentEventBus) async throws -> Void
    ) async throws {
        try await withServer(binary) { server in
            let transport = try await NATSTransport.connect(to: server.url, logger: quiet)
            let bus = try await PersistentEventBus.open(transport: transport, node: "attic", logger: quiet)
            let node = MeshNode(
                bus: bus,
                configuration: configuration,
                logger: quiet
            )
            try await body(server, node, bus)
            await bus.close()
            await transport.close()
        }
    }

    private func stored(_ bus: PersistentEventBus, _ pattern: EventPattern = .all) async throws -> [Event] {
        try await bus.history(matching: pattern, limit: 10_000).map(\.event)
    }

    @Test(
        "the server restarts: it joins again, and what happened meanwhile is stored in order with its time",
        arguments: NATSServers.all
    )
    func restart(binary: NATSServers.Binary) async throws {
        try await withNode(binary, .init(interval: .milliseconds(200))) { server, node, bus in
            let running = Task { try await node.run() }
            try await node.waitUntilJoined(timeout: .seconds(30))
            await server.kill()
            let down = Timestamp.now
            for number in 0..<20 {
                node.emitter.emit(ToolCrashed(tool: "whisper", error: "exited with code 3", restartCount: number))
                try await Task.sleep(for: .milliseconds(50))
            }
            let up = Timestamp.now
            try await server.restart()
            try await eventually("node.joined again") {
                (try? await stored(bus, "events.node.joined").count) == 2
            }
            let crashes = try await stored(bus, "events.tool.crashed")
            #expect(crashes.map { $0.data["restart_count"]?.int } == Array(0..<20))
            #expect(crashes.allSatisfy { $0.timestamp >= down && $0.timestamp <= up })
            let events = try await stored(bus)
            #expect(zip(events, events.dropFirst()).allSatisfy { $0.timestamp < $1.timestamp })
            // Of the health of the outage only what was tried and the newest.
            #expect(events.count { $0.type == .nodeHealth && $0.timestamp > down && $0.timestamp < up } <= 2)
            let joined = events.filter { $0.type == .nodeJoined }
            #expect(Set(joined.map { $0.data["capabilities"]?["instance"]?.string }) == [node.instance])
            node.leave(reason: "done")
            try await running.value
        }
    }

    @Test("a graceful shutdown stores node.left, also when the server comes back only then", arguments: NATSServers.all)
    func leave(binary: NATSServers.Binary) async throws {
        try await withNode(binary, .init(leaveTimeout: .seconds(60))) { server, node, bus in
            let group = ServiceGroup(services: [node], logger: quiet)
            let running = Task { try await group.run() }
            try await eventually("the node") { try await stored(bus).count >= 2 }
            await server.kill()
            await group.triggerGracefulShutdown()
            try await Task.sleep(for: .milliseconds(300))
            try await server.restart()
            try await running.value
            let last = try await stored(bus).last
            #expect(last?.type == .nodeLeft)
            #expect(last?.data["reason"]?.string == "shutdown")
        }
    }

    @Test("a server that stays away does not keep the node from ending, and what was not stored is said")
    func leaveWithoutServer() async throws {
        try await withNode(NATSServers.first, .init(leaveTimeout: .seconds(1))) { server, node, _ in
            let running = Task { () async -> MeshEventsError? in
                do {
                    try await node.run()
                    return nil
                } catch {
                    return error as? MeshEventsError
                }
            }
            try await node.waitUntilJoined(timeout: .seconds(30))
            await server.kill()
            node.emitter.emit(ToolStarted(tool: "whisper"))
            node.leave(reason: "done")
            let error = try await withDeadline(.seconds(20), "the node to end") { await running.value }
            #expect(error?.code == .timeout)
            #expect(error?.message.contains("node.left") == true, "\(String(describing: error))")
            #expect(error?.message.contains("tool.started") == true)
        }
    }

    @Test("a stream that was deleted is created again", arguments: NATSServers.all)
    func deletedStream(binary: NATSServers.Binary) async throws {
        try await withNode(binary, .init()) { server, node, bus in
            let running = Task { try await node.run() }
            try await eventually("the node") { try await stored(bus).count >= 2 }
            let connection = try await NATSConnection.connect(to: server.url, logger: quiet)
            try await JetStream(connection: connection).deleteStream("MESH_EVENTS")
            await connection.close()
            node.emitter.emit(ToolStarted(tool: "whisper"))
            try await node.emitter.flush(timeout: .seconds(60))
            #expect(try await stored(bus).map(\.type) == [.toolStarted])
            node.leave(reason: "done")
            try await running.value
        }
    }

    @Test("two processes' nodes of one name notice each other", arguments: NATSServers.all)
    func conflict(binary: NATSServers.Binary) async throws {
        try await withNode(binary, .init(interval: .milliseconds(200))) { server, node, bus in
            let running = Task { try await node.run() }
            try await eventually("the node") { try await stored(bus).count >= 2 }
            let transport = try await NATSTransport.connect(to: server.url, logger: quiet)
            let otherBus = try await PersistentEventBus.open(transport: transport, node: "attic", logger: quiet)
            let other = MeshNode(bus: otherBus, configuration: .init(interval: .milliseconds(200)), logger: quiet)
            let otherRunning = Task { try await other.run() }
            try await eventually("both to notice") {
                node.nameConflict?.otherInstance == other.instance
                    && other.nameConflict?.otherInstance == node.instance
            }
            other.leave(reason: "renamed")
            try await otherRunning.value
            try await eventually("the end of the conflict") { node.nameConflict == nil }
            await transport.close()
            node.leave(reason: "done")
            try await running.value
        }
    }
}
