import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import MeshMonitoring
import MeshSupervision
import NATSClient
import TestSupport
import Testing

/// A node that supervises three tools, on a server that keeps few events: what the tools do is known all the same.
@Suite("The state of tools without their events", .timeLimit(.minutes(3)))
struct ToolStateOverNATSTests {
    private struct Mesh {
        let transport: NATSTransport
        let bus: PersistentEventBus
        let supervisor: ToolSupervisor
        let monitor: MeshMonitor

        var store: JetStreamStore { JetStreamStore(transport.connection) }
        var jetStream: JetStream { JetStream(connection: transport.connection) }

        /// What a monitor that starts now knows; `nil` when there is no stream.
        func fresh() async throws -> MeshState? {
            do throws(MeshEventsError) {
                let monitor = try await MeshMonitor.start(store: store, logger: quiet)
                defer { monitor.close() }
                return monitor.state
            } catch {
                guard error.code == .streamNotFound else { throw error }
                return nil
            }
        }

        func stored(_ pattern: EventPattern) async -> [StoredEvent] {
            (try? await bus.history(matching: pattern, limit: 100)) ?? []
        }
    }

    private func withMesh(_ binary: NATSServers.Binary, _ body: (Mesh) async throws -> Void) async throws {
        try await withServer(binary) { server in
            let transport = try await NATSTransport.connect(to: server.url, logger: quiet)
            let bus = try await PersistentEventBus.open(
                transport: transport,
                node: "attic",
                configuration: .init(maximumMessages: 20),
                logger: quiet
            )
            let node = MeshNode(bus: bus, configuration: .init(interval: .milliseconds(200)), logger: quiet)
            let supervisor = ToolSupervisor(
                environment: ToolEnvironment(url: server.url, node: "attic"),
                logger: quiet
            ) { node.emitter.emit($0) }
            node.setTools { supervisor.tools }
            let running = Task { try await node.run() }
            try await node.waitUntilJoined(timeout: .seconds(30))
            let tools: [(String, String, RestartPolicy)] = [
                ("steady", "exec sleep 600", RestartPolicy()),
                ("broken", "exit 3", RestartPolicy(initialDelay: .milliseconds(10), maximumRestarts: 1)),
                ("shaky", "exit 4", RestartPolicy(initialDelay: .seconds(600), maximumDelay: .seconds(600))),
            ]
            for (name, script, restart) in tools {
                try await supervisor.install(
                    ToolSpecification(
                        name: name,
                        version: "\(name)-1",
                        command: ["sh", "-c", script],
                        restart: restart
                    )
                )
                try await supervisor.start(name)
            }
            try await eventually("the tools to be as they are to be") {
                supervisor.tools.map(\.state) == [.failed, .backingOff, .running]
            }
            let monitor = try await MeshMonitor.start(store: JetStreamStore(transport.connection), logger: quiet)
            try await body(Mesh(transport: transport, bus: bus, supervisor: supervisor, monitor: monitor))
            await supervisor.shutdown()
            monitor.close()
            node.leave(reason: "done")
            try await running.value
            await bus.close()
            await transport.close()
        }
    }

    /// Whether all is known of the tools.
    private func isKnown(_ state: MeshState?) -> Bool {
        let known = state?.tools(on: "attic").map { tool in
            "\(tool.name) \(tool.version ?? "") \(tool.state) \(tool.restartCount) \(tool.lastError ?? "")"
        }
        return known == [
            "broken broken-1 failed 1 exited with code 3", "shaky shaky-1 backingOff 0 exited with code 4",
            "steady steady-1 running 0 ",
        ]
    }

    @Test(
        "they are known after their events were dropped, purged, and lost with their stream",
        arguments: NATSServers.all
    )
    func lost(binary: NATSServers.Binary) async throws {
        try await withMesh(binary) { mesh in
            try await eventually("all to be known") { isKnown(mesh.monitor.state) }
            // Twenty newer events, all of them health.
            try await eventually("the tools' events to be dropped") {
                let all = await mesh.stored(.all)
                return all.count == 20 && all.allSatisfy { $0.event.type == .nodeHealth }
            }
            #expect(isKnown(mesh.monitor.state))
            #expect(isKnown(try await mesh.fresh()))

            _ = try await mesh.jetStream.purgeStream("MESH_EVENTS")
            try await eventually("the next health event") { await !mesh.stored(.nodeHealth).isEmpty }
            #expect(isKnown(try await mesh.fresh()))
            try await eventually("the monitor to know all") { isKnown(mesh.monitor.state) }

            try await mesh.jetStream.deleteStream("MESH_EVENTS")
            // The node creates it again.
            try await eventually("the next health event") { await !mesh.stored(.nodeHealth).isEmpty }
            #expect(isKnown(try await mesh.fresh()))
            #expect(await mesh.stored(.allTools).isEmpty)
            try await eventually("the monitor to know all") { isKnown(mesh.monitor.state) }

            // A tool that is removed meanwhile is not known for ever.
            try await mesh.supervisor.remove("shaky")
            _ = try await mesh.jetStream.purgeStream("MESH_EVENTS")
            try await eventually("the removal to be known") {
                mesh.monitor.state.tool("shaky", on: "attic")?.state == .removed
            }
            try await eventually("the next health event") { await !mesh.stored(.nodeHealth).isEmpty }
            let present = try await mesh.fresh()?.tools(on: "attic").filter { $0.state != .removed }
            #expect(present?.map(\.name) == ["broken", "steady"])
        }
    }
}
