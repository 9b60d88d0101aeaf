import MeshEvents
import TestSupport
import Testing

@testable import MeshMonitoring

/// What strangers say fills no memory: each bound is reached, what is beyond it counted.
@Suite(.timeLimit(.minutes(2))) struct MeshStateLimitTests {
    @Test func ofTooManyNodesThoseSilentLongestGo() {
        var state = MeshState(limits: .init(nodes: 100))
        for number in 0..<1_000 {
            state.apply(Mesh.joined(Double(number), node: "n\(number)"))
            // It is heard of all the time.
            state.apply(Mesh.health(Double(number), node: "pi"))
        }
        #expect(state.nodes.count == 100 && state.leftOut == .init(nodes: 901))
        #expect(Set(state.nodes.map(\.name)) == Set((901..<1_000).map { "n\($0)" } + ["pi"]))
        // One that is older than all others has no room.
        #expect(state.apply(Mesh.joined(1, node: "late")) == nil)
        #expect(state.node("late") == nil && state.leftOut.nodes == 902)
    }

    @Test func aHundredThousandNamesTakeNoMoreThanTheDefault() {
        var state = MeshState()
        for number in 0..<30_000 { state.apply(Mesh.event(.nodeJoined, Double(number), node: "node-\(number)")) }
        #expect(state.nodes.count == 10_000 && state.leftOut.nodes == 20_000)
        #expect(state.bytes <= state.limits.bytes)
    }

    @Test func ofTooManyToolsNewOnesAreNotTaken() {
        var state = MeshState()
        for number in 0..<20_000 { state.apply(Mesh.tool("started", Double(number), ["tool": .string("t\(number)")])) }
        #expect(state.tools(on: "pi").count == 1_000 && state.leftOut == .init(tools: 19_000))
        #expect(state.tool("t999", on: "pi")?.state == .running)
        // What is known goes on.
        state.apply(Mesh.tool("stopped", 30_000, ["tool": "t7", "reason": "nap"]))
        #expect(state.tool("t7", on: "pi")?.stopReason == "nap")
        // One that was removed makes room.
        state.apply(Mesh.tool("removed", 30_001, ["tool": "t8"]))
        #expect(state.apply(Mesh.tool("started", 30_002, ["tool": "new"])) != nil)
        #expect(state.tool("new", on: "pi")?.state == .running && state.tool("t8", on: "pi") == nil)
        #expect(state.tools(on: "pi").count == 1_000)
    }

    @Test func whatOneEventSaysIsCut() throws {
        var state = MeshState(limits: .init(textBytes: 64, dataBytes: 256))
        let long = String(repeating: "é", count: 100_000)
        state.apply(Mesh.tool("crashed", 1, ["tool": "a", "error": .string(long)]))
        let error = try #require(state.tool("a", on: "pi")?.lastError)
        #expect(error.utf8.count <= 64 && error.hasSuffix("é…"))
        state.apply(Mesh.tool("installed", 2, ["tool": "b", "version": .string(long)]))
        state.apply(Mesh.tool("stopped", 3, ["tool": "c", "reason": .string(long)]))
        let data: JSONValue = ["interval_s": 5, "text": .string(long)]
        state.apply(Mesh.joined(4, data))
        state.apply(Mesh.health(5, long, data))
        #expect(state.leftOut == .init(values: 5))
        let node = try #require(state.node("pi"))
        #expect(node.capabilities.isNull && node.resources.isNull && node.healthInterval == .seconds(5))
        #expect(node.reportedStatus?.utf8.count ?? 0 <= 64)
        state.apply(Mesh.left(6, long))
        #expect(state.node("pi")?.leaveReason?.utf8.count ?? 0 <= 64)
        // Names are not cut: two would become one.
        #expect(state.apply(Mesh.joined(7, node: long)) == nil)
        #expect(state.apply(Mesh.tool("started", 8, ["tool": .string(long)])) == nil)
        #expect(state.nodes.count == 1 && state.leftOut.values == 8)
        #expect(state.bytes < 8_192)
    }

    @Test func allOfItIsBoundedInBytes() {
        var state = MeshState(limits: .init(bytes: 1 << 20))
        let text = String(repeating: "x", count: 10_000)
        for number in 0..<500 {
            let node = "n\(number)"
            state.apply(Mesh.joined(Double(number), node: node, ["text": .string(text)]))
            for tool in 0..<5 {
                let data: EventData = ["tool": .string("t\(tool)"), "error": .string(text)]
                state.apply(Mesh.tool("crashed", Double(number), node: node, data))
            }
            #expect(state.bytes <= 1 << 20)
        }
        #expect(state.nodes.count > 20 && state.nodes.count < 100)
        #expect(state.node("n499")?.tools.count == 5)
        #expect(state.leftOut.nodes == UInt64(500 - state.nodes.count))
        // What is counted is what there is.
        for node in state.nodes { state.apply(Mesh.left(1_000, node: node.name)) }
        state.advance(to: Mesh.time(10_000))
        state.forget(olderThan: Mesh.time(5_000))
        #expect(state.isEmpty && state.bytes == 0)
    }

    @Test func theBytesOfToolsThatComeAndGoDoNotDrift() {
        var state = MeshState()
        var generator = SeededGenerator(seed: 1)
        for second in 0..<2_000 {
            let tool = JSONValue.string("t\(Int.random(in: 0..<50, using: &generator))")
            let what = ["installed", "started", "crashed", "stopped", "removed"].randomElement(using: &generator) ?? ""
            let text = JSONValue.string(String(repeating: "x", count: Int.random(in: 0..<3_000, using: &generator)))
            let data: EventData = ["tool": tool, "error": text, "reason": text, "version": text]
            state.apply(Mesh.tool(what, Double(second), data))
            if second % 100 == 0 { state.forget(olderThan: Mesh.time(Double(second) - 50)) }
        }
        for tool in state.tools(on: "pi") { state.apply(Mesh.tool("removed", 3_000, ["tool": .string(tool.name)])) }
        state.forget(olderThan: Mesh.time(4_000))
        #expect(state.tools(on: "pi").isEmpty)
        var empty = MeshState()
        empty.apply(Mesh.health(1))
        empty.apply(Mesh.tool("started", 1, ["tool": ""]))
        #expect(state.bytes < empty.bytes)
    }

    @Test func ofALongListTheFirstTwoHundredAreRead() {
        let tools = (0..<10_000).map { Mesh.listed("running", since: 0, "t\($0)") }
        var state = MeshState()
        state.apply(Mesh.tool("started", 0, ["tool": "other"]))
        #expect(state.apply(Mesh.health(1, tools: .array(tools)))?.kinds == [.resources, .tool])
        #expect(state.tools(on: "pi").count == 201 && state.leftOut == .init(tools: 9_800))
        #expect(state.tool("t199", on: "pi")?.state == .running && state.tool("t200", on: "pi") == nil)
        // Nothing is said of what was not read.
        #expect(state.tool("other", on: "pi")?.state == .running)
    }

    @Test func theToolsOfListsAreBoundedToo() throws {
        var state = MeshState(limits: .init(toolsPerNode: 10, textBytes: 64))
        let long = String(repeating: "é", count: 10_000)
        for number in 0..<100 {
            let names = (0..<20).map { "t\(number)-\($0)" }
            state.apply(
                Mesh.health(
                    Double(number),
                    tools: .array(names.map { Mesh.listed("failed", since: 0, $0, version: long, error: long) })
                )
            )
            #expect(state.tools(on: "pi").count == 10)
            #expect(state.bytes < 10 * (512 + 256) + 2_048)
        }
        // A list makes room for its own tools.
        #expect(state.tool("t99-0", on: "pi")?.state == .failed && state.tool("t98-0", on: "pi") == nil)
        #expect(state.tool("t99-0", on: "pi")?.lastError?.utf8.count ?? 0 <= 64)
        #expect(state.leftOut == .init(tools: 10 + 99 * 20, values: 100))
        state.apply(Mesh.health(100, tools: [Mesh.listed("running", since: 0, long)]))
        #expect(state.leftOut.values == 101 && state.summary.failed == 10)
        // What is counted is what there is.
        state.apply(Mesh.health(101, tools: []))
        state.forget(olderThan: Mesh.time(200))
        #expect(state.tools(on: "pi").isEmpty)
        var empty = MeshState()
        empty.apply(Mesh.health(1))
        #expect(state.bytes == empty.bytes)
    }

    @Test func manyListsTakeNoMoreThanOne() {
        var state = MeshState()
        let error = String(repeating: "x", count: 400)
        func health(_ second: Int) -> Event {
            Mesh.health(
                Double(second),
                tools: .array(
                    (0..<100).map { Mesh.listed("failed", since: 0, "t\($0)", restarts: second, error: error) }
                )
            )
        }
        state.apply(health(1))
        let bytes = state.bytes
        for second in 2..<200 { state.apply(health(second)) }
        #expect(state.bytes == bytes)
    }

    /// How long so many health events with a list of ten tools take, of a node that has had so many tools.
    private func timeOfLists(_ events: Int, removed: Int) -> Duration {
        var state = MeshState(limits: .init(toolsPerNode: 100_000))
        for number in 0..<removed { state.apply(Mesh.tool("started", 0, ["tool": .string("old\(number)")])) }
        let tools = (0..<10).map { Mesh.listed("running", since: 0, "t\($0)") }
        state.apply(Mesh.health(1, tools: .array(tools)))
        return ContinuousClock().measure {
            for number in 0..<events {
                // One comes and goes.
                let all = number % 2 == 0 ? tools : tools + [Mesh.listed("running", since: 0, "guest")]
                state.apply(Mesh.health(Double(number + 2), tools: .array(all)))
            }
        }
    }

    @Test func aListCostsTheSameWhateverThereIs() {
        let few = timeOfLists(300, removed: 10)
        let many = timeOfLists(300, removed: 50_000)
        // Each of fifty thousand tools looked at would be a thousand times as much.
        #expect(many < few * 12 + .milliseconds(200), "\(few), \(many)")
    }

    /// How long so many events take, about tools of a node that has some, for a reader that keeps each update.
    private func time(_ events: Int, tools: Int, others: Int) -> Duration {
        var state = MeshState()
        for number in 0..<others { state.apply(Mesh.health(0, node: "n\(number)")) }
        for number in 0..<tools { state.apply(Mesh.tool("started", 0, ["tool": .string("t\(number)")])) }
        var kept: [MeshState.Node] = []
        return ContinuousClock().measure {
            for number in 0..<events {
                let tool: EventData = ["tool": .string("t\(number % tools)")]
                state.apply(Mesh.tool(number % 2 == 0 ? "crashed" : "started", Double(number + 1), tool))
                state.apply(Mesh.joined(Double(number + 1)))
                state.advance(to: Mesh.time(Double(number) / 1_000))
                if let node = state.node("pi") { kept.append(node) }
                if kept.count > 100 { kept.removeFirst() }
            }
        }
    }

    @Test func anEventCostsTheSameWhateverThereIs() {
        let few = time(500, tools: 4, others: 4)
        let many = time(500, tools: 1_000, others: 9_000)
        // Each of a thousand tools looked at would be a hundred times as much.
        #expect(many < few * 12 + .milliseconds(200), "\(few), \(many)")
    }

    @Test func limitsOutOfRangeAreTheNearest() {
        let least = MeshState.Limits(nodes: 0, toolsPerNode: -1, textBytes: 0, dataBytes: 0, bytes: 0)
        #expect(least == MeshState.Limits(nodes: 1, toolsPerNode: 1, textBytes: 16, dataBytes: 64, bytes: 65_536))
        #expect(MeshState.Limits(nodes: .max).nodes == 1_000_000)
    }

    @Test func strangersWithShortIntervalsDoNotFillTheQueues() {
        var state = MeshState(limits: .init(nodes: 10))
        for number in 0..<10_000 {
            let interval = number % 2 == 0 ? 86_400.0 - Double(number) : 0.000_001
            state.apply(
                Mesh.health(Double(number) / 100, node: "n\(number % 20)", "online", ["interval_s": .init(interval)])
            )
        }
        #expect(state.queued <= 2 * (2 * 10 + 65))
        #expect(state.node("n19")?.healthInterval == .seconds(0.1))
    }

    @Test func aNodeThatIsAskedForAloneIsAsItWas() {
        let state = Mesh.state([Mesh.health(0), Mesh.health(0, node: "b"), Mesh.tool("started", 1)], at: 5)
        var one = state.restricted(to: "pi")
        #expect(one.nodes == state.nodes.filter { $0.name == "pi" })
        #expect(one.advance(to: Mesh.time(100)) == [.init(node: "pi", kinds: [.status, .tool])])
    }
}
