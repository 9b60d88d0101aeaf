import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import MeshMonitoring
import NATSClient
import TestSupport
import Testing

/// A monitor on real servers.
@Suite(.timeLimit(.minutes(2))) struct MeshMonitorOverNATSTests {
    private func connect(_ server: LocalNATSServer) async throws -> NATSTransport {
        try await NATSTransport.connect(.init(servers: try ServerAddress.list(server.url)))
    }

    private func bus(_ transport: NATSTransport) async throws -> PersistentEventBus {
        try await PersistentEventBus.open(
            transport: transport,
            store: JetStreamStore(transport.connection),
            node: "pi"
        )
    }

    @Test(arguments: NATSServers.all)
    func goesOnOverAKilledServer(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        try await withServer(binary, .init(storeDirectory: directory.path)) { server in
            let transport = try await connect(server)
            let bus = try await bus(transport)
            try await bus.emit(NodeJoined(capabilities: ["tools": 1]))
            try await bus.emit(ToolStarted(tool: "whisper"))
            let monitor = try await MeshMonitor.start(store: JetStreamStore(transport.connection))
            #expect(monitor.state.tool("whisper", on: "pi")?.state == .running)
            let updates = monitor.updates()
            await server.kill()
            try await server.restart()
            try await eventually("an event to be stored after the restart") {
                (try? await bus.emit(ToolCrashed(tool: "whisper", error: "killed", restartCount: 0))) != nil
            }
            var iterator = updates.makeAsyncIterator()
            let update = try await iterator.next()
            #expect(update?.change == .init(node: "pi", kinds: .tool, tool: "whisper"))
            #expect(monitor.state.tool("whisper", on: "pi")?.lastError == "killed")
            await transport.close()
        }
    }

    @Test(arguments: NATSServers.all, [true, false])
    func beginsAnewWithAnotherStream(binary: NATSServers.Binary, isAwayForLong: Bool) async throws {
        try await withServer(binary) { server in
            let transport = try await connect(server)
            let former = try await bus(transport)
            try await former.emit(NodeJoined(capabilities: nil))
            let store = JetStreamStore(transport.connection)
            let monitor = try await MeshMonitor.start(store: store)
            #expect(monitor.state.node("pi") != nil)
            let replay = try await EventReplay(store: store, logger: quiet).open()
            try await store.jetStream.deleteStream(store.streamName)
            // Until a replay that waits for the stream ends.
            if isAwayForLong {
                let error = await #expect(throws: MeshEventsError.self) {
                    try await withDeadline(.seconds(90), "the end of a replay") { for try await _ in replay {} }
                }
                #expect(error?.code == .streamNotFound)
            }
            _ = try await store.open(PersistentEventBus.Configuration())
            for _ in 0..<5 { try await former.emit(Event("node.joined", node: "attic")) }
            try await eventually("the other stream's node alone") {
                monitor.state.node("attic") != nil && monitor.state.node("pi") == nil
            }
            #expect(monitor.failure == nil)
            await transport.close()
        }
    }

    @Test(arguments: NATSServers.all)
    func endsWithTheReasonWhenItCannotGoOn(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let transport = try await connect(server)
            let bus = try await bus(transport)
            try await bus.emit(NodeJoined(capabilities: nil))
            let monitor = try await MeshMonitor.start(store: JetStreamStore(transport.connection))
            let updates = monitor.updates()
            await transport.close()
            var iterator = updates.makeAsyncIterator()
            let error = await failure(&iterator)
            #expect(error?.code == .closed)
            #expect(monitor.failure?.code == .closed)
            #expect(monitor.state.node("pi")?.status == .online)
        }
    }

    private func failure(_ iterator: inout MeshUpdates.AsyncIterator) async -> MeshEventsError? {
        do {
            while try await iterator.next() != nil {}
            return nil
        } catch {
            return error
        }
    }
}
