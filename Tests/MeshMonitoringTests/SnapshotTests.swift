import MeshEvents
import MeshEventsTesting
import TestSupport
import Testing

@testable import MeshMonitoring

/// What a keeper saves gives the same state as the events it follows from.
@Suite struct SnapshotTests {
    private func fold(_ events: some Sequence<StoredEvent>, into state: MeshState = MeshState()) -> MeshState {
        var state = state
        for event in events { state.apply(event) }
        return state
    }

    private func end(_ state: MeshState) -> MeshState {
        var state = state
        state.advance(to: Mesh.time(100_000))
        return state
    }

    private func snapshots(_ state: MeshState) -> [NodeSnapshot] {
        state.recordedNames.compactMap { state.snapshot(of: $0) }
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func aSnapshotIsReadAsItWasWritten(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let state = fold(History.random(60, &generator))
        var read = MeshState()
        for snapshot in snapshots(state) {
            var left = MeshState.LeftOut()
            let text = snapshot.json(at: Mesh.time(500))
            let again = try #require(NodeSnapshot(json: text, limits: .init(), &left))
            let isSame = again == snapshot
            #expect(isSame && left.isEmpty)
            read.apply(again)
        }
        let isSame = end(read) == end(state)
        #expect(isSame)
        let looksSame = end(read).json == end(state).json
        #expect(looksSame)
    }

    /// The entries are of different moments after the checkpoint, and the events after it come again.
    @Test(arguments: 0..<1_000 as Range<UInt64>)
    func snapshotsAndTheEventsAfterTheCheckpointGiveTheWholeState(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let events = History.random(Int.random(in: 1...80, using: &generator), &generator)
        let whole = end(fold(events))
        let checkpoint = Int.random(in: 0...events.count, using: &generator)
        var state = MeshState()
        for name in fold(events).recordedNames {
            let moment = Int.random(in: checkpoint...events.count, using: &generator)
            if let snapshot = fold(events.prefix(moment)).snapshot(of: name) { state.apply(snapshot) }
        }
        var tail = Array(events.dropFirst(checkpoint))
        if Bool.random(using: &generator) { tail += tail.prefix(3) }
        let isSame = end(fold(tail, into: state)) == whole
        #expect(isSame)
    }

    /// One process for each name: when two use it by turns, their order decides which one is the earlier.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func theOrderOfSnapshotsAndEventsMakesNoDifference(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let events = History.random(50, instances: 1, &generator)
        let cut = Int.random(in: 0...50, using: &generator)
        let (early, all) = (snapshots(fold(events.prefix(cut))), snapshots(fold(events)))
        var state = fold(events)
        for snapshot in (early + all).shuffled(using: &generator) { state.apply(snapshot) }
        let isSame = end(state) == end(fold(events))
        #expect(isSame)
    }

    @Test func peopleAndProgramsCanReadIt() throws {
        let events = [
            Mesh.joined(0), Mesh.tool("installed", 1, ["tool": "whisper", "version": "v1"]),
            Mesh.tool("crashed", 2, ["error": "exited with code 3", "restart_count": 1, "tool": "whisper"]),
        ]
        let state = Mesh.state(events, at: 3)
        let text = try #require(state.snapshot(of: "pi")).json(at: Mesh.time(3))
        let data = try EventData(json: text)
        #expect(data["name"]?.string == "pi" && data["status"]?.string == "online")
        let expected: JSONValue = [
            "error": "exited with code 3", "name": "whisper", "state": "backing_off", "version": "v1",
        ]
        #expect(data["tools"]?[0]?.value == expected)
    }

    @Test func hostileEntriesAreCutOrIgnored() throws {
        func read(_ json: String, _ limits: MeshState.Limits = .init()) -> (NodeSnapshot?, MeshState.LeftOut) {
            var left = MeshState.LeftOut()
            let snapshot = NodeSnapshot(json: Array(json.utf8), limits: limits, &left)
            return (snapshot, left)
        }
        let time = Mesh.time(0).description
        for text in [
            "", "null", "[]", "{", "\u{FFFD}", #"{"name":"a"}"#, #"{"name":"","facts":{"last_seen":"\#(time)"}}"#,
            #"{"name":"a","facts":7}"#, #"{"name":"a","facts":{"last_seen":"soon"}}"#,
            #"{"name":"\#(String(repeating: "x", count: 513))","facts":{"last_seen":"\#(time)"}}"#,
        ] {
            #expect(read(text).0 == nil, "\(text)")
        }
        let facts = #"{"last_seen":"\#(time)","joined":["\#(time)",-1],"left":{"stamp":7},"health":[],"tools":{"":{},"#
        let stamp = #"["\#(time)",1]"#
        let tools = (0..<20).map {
            #""t\#($0)":{"installed":\#(stamp),"version":{"stamp":\#(stamp),"value":"\#(String(repeating: "v", count: 99))"}}"#
        }
        let (found, left) = read(
            #"{"name":"a","facts":\#(facts)\#(tools.joined(separator: ","))}}}"#,
            .init(toolsPerNode: 5, textBytes: 16)
        )
        let snapshot = try #require(found)
        #expect(snapshot.record.tools.count == 5 && left.tools == 15 && left.values == 2)
        var state = MeshState(limits: .init(toolsPerNode: 5, textBytes: 16))
        state.apply(snapshot)
        #expect(state.node("a")?.tools.allSatisfy { ($0.version?.utf8.count ?? 0) <= 16 } == true)
        #expect(state.node("a")?.joinedAt == nil && state.node("a")?.status == .silent || state.now == .epoch)
        // Nested so deeply that the entry could not be read again: the data is not kept.
        var deep: JSONValue = [:]
        for _ in 0..<110 { deep = ["d": deep] }
        let nested = Mesh.state([Mesh.health(0, "online", deep)], at: 1)
        #expect(nested.node("pi")?.resources.isNull == true && nested.leftOut.values == 1)
        #expect(
            read(String(decoding: try #require(nested.snapshot(of: "pi")).json(at: Mesh.time(1)), as: UTF8.self)).0
                != nil
        )
    }

    @Test func everyNameIsAKey() {
        #expect(StateKey.node("pi") == "node.pi")
        #expect(StateKey.node("gpu.1/a b=ü") == "node.gpu=2E1/a=20b=3D=C3=BC")
        #expect(
            StateKey.node("*") == "node.=2A" && StateKey.node(">") == "node.=3E" && StateKey.node("\u{1}") == "node.=01"
        )
    }

    @Test func aStateIsWithinItsLimitsWhateverIsSaved() {
        var state = MeshState(limits: .init(nodes: 10))
        for number in 0..<50 {
            let node = Mesh.state([Mesh.health(Double(number), node: "n\(number)")], at: 1)
            if let snapshot = node.snapshot(of: "n\(number)") { state.apply(snapshot) }
        }
        #expect(state.nodes.count == 10 && state.leftOut.nodes == 40)
        #expect(state.nodes.map(\.name).contains("n49"))
    }
}
