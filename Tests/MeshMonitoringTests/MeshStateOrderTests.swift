import MeshEvents
import MeshMonitoring
import TestSupport
import Testing

/// Events come in any order, twice, or not at all.
@Suite struct MeshStateOrderTests {
    /// Three nodes: one that works, crashes and leaves, one that dies and comes back as another instance, one of the Go
    /// mesh.
    private static let story: [Event] = [
        Mesh.joined(0, ["instance": "a1", "interval_s": 10, "tools": 2]),
        Mesh.tool("installed", 1, ["tool": "whisper", "version": "v1"]),
        Mesh.tool("configured", 1.5, ["tool": "whisper", "config": ["beam": 5]]),
        Mesh.tool("started", 2),
        Mesh.health(10, "online", ["cpu": 0.1, "instance": "a1", "interval_s": 10]),
        Mesh.tool("crashed", 12, ["error": "exited with code 3", "restart_count": 1, "tool": "whisper"]),
        Mesh.tool("started", 13, ["ready": false, "tool": "whisper"]),
        Mesh.tool("ready", 14),
        Mesh.tool("unhealthy", 15, ["failures": 3, "reason": "no answer", "restarting": false, "tool": "whisper"]),
        Mesh.tool("healthy", 19, ["tool": "whisper", "unhealthy_s": 4]),
        Mesh.health(20, "degraded", ["checks": ["disk": "full"], "instance": "a1", "interval_s": 10]),
        Mesh.health(22, tools: [Mesh.listed("running", since: 13, version: "v1", restarts: 1)], ["instance": "a1"]),
        Mesh.tool("stopped", 25, ["reason": "update", "tool": "whisper"]),
        Mesh.tool("installed", 26, ["tool": "whisper", "version": "v2"]),
        Mesh.tool("started", 27),
        Mesh.tool("removed", 28, ["tool": "old"]),
        Mesh.left(29, "shutdown"),
        Mesh.joined(0.1, node: "b", ["instance": "b1", "interval_s": 5]),
        Mesh.tool("started", 1.1, node: "b", ["tool": "train"]),
        Mesh.tool("started", 1.2, node: "b", ["tool": "gone"]),
        Mesh.health(5.1, node: "b", "online", ["instance": "b1", "interval_s": 5]),
        Mesh.joined(15.1, node: "b", ["instance": "b2", "interval_s": 7]),
        Mesh.tool("started", 16.1, node: "b", ["tool": "train"]),
        Mesh.health(22.1, node: "b", "online", ["instance": "b2", "interval_s": 7]),
        Mesh.health(
            23.1,
            node: "b",
            tools: [Mesh.listed("failed", since: 23, "train", error: "no")],
            ["instance": "b2"]
        ),
        Mesh.joined(3, node: "go", ["gpu": true]),
        Mesh.event(.nodeJoined, 17, node: "go"),
        Mesh.tool("started", 18, node: "go", ["tool": "x"]),
        Mesh.event("user.training.complete", 19, node: "stranger", ["loss": 0.02]),
    ]

    private func stored(_ events: [Event]) -> [StoredEvent] {
        events.enumerated().map { StoredEvent(event: $1, sequence: UInt64($0 + 1), storedAt: $1.timestamp) }
    }

    private func fold(_ events: [StoredEvent], at second: Double = 40) -> MeshState {
        var state = MeshState()
        for event in events { state.apply(event) }
        state.advance(to: Mesh.time(second))
        return state
    }

    @Test func theStoryEndsAsExpected() throws {
        let state = fold(stored(Self.story))
        #expect(state.nodes.map(\.name) == ["b", "go", "pi"])
        #expect(state.nodes.map(\.status) == [.online, .online, .left])
        #expect(state.tool("whisper", on: "pi")?.version == "v2")
        #expect(state.tool("whisper", on: "pi")?.state == .stopped)
        #expect(state.tool("train", on: "b")?.state == .failed)
        #expect(state.tool("gone", on: "b")?.state == .removed)
        #expect(state.node("go")?.capabilities == ["gpu": true])
        #expect(fold(stored(Self.story), at: 45).node("b")?.status == .unreachable)
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func orderMakesNoDifference(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let events = stored(Self.story)
        #expect(fold(events.shuffled(using: &generator)) == fold(events))
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func repeatsMakeNoDifference(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let events = stored(Self.story)
        let repeated = (events + events + events.prefix(7)).shuffled(using: &generator)
        #expect(fold(repeated) == fold(events))
    }

    @Test func aRepeatIsNoChange() {
        var state = MeshState()
        for event in stored(Self.story) { state.apply(event) }
        for event in stored(Self.story) { #expect(state.apply(event) == nil, "\(event)") }
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func eventsThatAreMissingBreakNothing(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let events = stored(Self.story).filter { _ in Bool.random(using: &generator) }
        let state = fold(events.shuffled(using: &generator))
        #expect(state == fold(events))
        #expect(state.nodes.count <= 3)
        #expect(!state.json.isNull || events.isEmpty)
    }

    @Test func equalTimesAreDecidedByTheSequence() {
        let left = StoredEvent(event: Mesh.left(5), sequence: 7, storedAt: Mesh.time(5))
        let joined = StoredEvent(event: Mesh.joined(5), sequence: 8, storedAt: Mesh.time(5))
        #expect(fold([left, joined]).node("pi")?.status == .online)
        #expect(fold([joined, left]).node("pi")?.status == .online)
    }

    @Test func whatIsNoEventOfNodesAndToolsIsIgnored() {
        var state = MeshState()
        #expect(state.apply(Mesh.event("user.x", 0)) == nil)
        #expect(state.apply(Mesh.event("node.unheard_of", 0)) == nil)
        #expect(state.apply(Mesh.health(0, node: "")) == nil)
        #expect(state.isEmpty && state.nodes.isEmpty && state.summary == MeshState().summary)
    }

    @Test func valuesOfTheWrongKindSayNothing() throws {
        var state = MeshState()
        state.apply(Mesh.event(.nodeHealth, 1, ["resources": [1, 2], "status": 5]))
        state.apply(Mesh.event(.nodeJoined, 2, ["capabilities": "all"]))
        state.apply(Mesh.event(.nodeLeft, 0, ["reason": [:]]))
        state.apply(Mesh.event(.toolStarted, 3, ["tool": 7]))
        state.apply(Mesh.event(.toolCrashed, 4, ["tool": "x", "restart_count": "many", "error": nil]))
        state.apply(Mesh.event(.toolCrashed, 5, ["tool": "y", "restart_count": -4]))
        let node = try #require(state.node("pi"))
        #expect(node.status == .online && node.capabilities.isNull && node.resources.isNull)
        #expect(node.tools.map(\.name) == ["x", "y"])
        #expect(node.tools.map(\.restartCount) == [0, 0])
        state.apply(Mesh.health(6, "degraded", ["checks": ["disk": ["free": 0], "x": nil]]))
        #expect(state.node("pi")?.failingChecks == ["disk": #"{"free":0}"#, "x": "null"])
    }
}
