import CrashWatch
import MeshEvents
import MeshEventsTesting
import Testing

/// No server, no sockets, no sleeping: a mesh in memory, and a clock that the test moves.
@Suite("The crash watch", .timeLimit(.minutes(1)))
struct CrashWatchTests {
    private let clock = ManualClock()
    private let mesh: InMemoryMesh

    init() {
        mesh = InMemoryMesh(.init(clock: clock))
    }

    /// A node of the mesh.
    private func node(_ name: String) async throws -> PersistentEventBus {
        try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: InMemoryStore(mesh),
            node: name
        )
    }

    @Test("the third crash of a tool makes it unstable, also when the others were before the start")
    func unstable() async throws {
        let atelier = try await node("atelier")
        let watcher = try await node("watcher")
        let warnings = try await atelier.bus.subscribe(to: "user.tool.unstable")
        try await atelier.emit(ToolCrashed(tool: "whisper", error: "killed", restartCount: 1))
        try await atelier.emit(ToolCrashed(tool: "whisper", error: "killed", restartCount: 2))
        try await atelier.emit(ToolCrashed(tool: "trainer", error: "exit code 1", restartCount: 1))

        let watching = Task { try await CrashWatch(bus: watcher).run() }
        try await atelier.emit(ToolCrashed(tool: "whisper", error: "killed", restartCount: 3))

        var iterator = warnings.makeAsyncIterator()
        let warning = try #require(try await iterator.next())
        #expect(warning.node == "watcher")
        #expect(warning.data == ["tool": "whisper"])

        await watcher.close()
        try await watching.value
        try await warnings.drain()
        #expect(try await iterator.next() == nil, "one warning, not one a crash")
    }

    @Test("only the crashes of the last hour are recent")
    func recent() async throws {
        let atelier = try await node("atelier")
        let watch = CrashWatch(bus: atelier)
        try await atelier.emit(ToolCrashed(tool: "old", error: "killed", restartCount: 1))
        clock.advance(by: .seconds(2 * 3_600))
        try await atelier.emit(ToolCrashed(tool: "new", error: "killed", restartCount: 1))
        #expect(try await watch.recent(at: clock.timestamp) == ["new"])
    }

    @Test("a crash that names no tool is no tool's, and ends nothing")
    func strange() async throws {
        let atelier = try await node("atelier")
        let warnings = try await atelier.bus.subscribe(to: "user.tool.unstable")
        let watching = Task { [watcher = try await node("watcher")] in try await CrashWatch(bus: watcher).run() }
        try await atelier.emit(.toolCrashed, ["error": "?"])
        try await atelier.emit(.toolCrashed, ["tool": 7])
        for count in 1...3 {
            try await atelier.emit(ToolCrashed(tool: "whisper", error: "killed", restartCount: count))
        }

        var iterator = warnings.makeAsyncIterator()
        #expect(try await iterator.next()?.data == ["tool": "whisper"])
        watching.cancel()
        #expect(try await CrashWatch(bus: atelier).recent(at: clock.timestamp) == ["whisper"])
    }
}
