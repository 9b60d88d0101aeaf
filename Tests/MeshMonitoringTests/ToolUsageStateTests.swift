import MeshEvents
import Testing

@testable import MeshMonitoring

/// What the state of the mesh keeps of what tools use.
@Suite struct ToolUsageStateTests {
    private static let usage: JSONValue = [
        "cpu": 1.25, "files": 42, "gpus": [["index": 1, "memory_mb": 11_264]], "memory_mb": 812.5, "processes": 3,
        "read_mb": 120.5, "threads": 18, "written_mb": 3.25,
    ]
    private static let figures = ProcessUsage(
        cpu: 1.25,
        memoryMB: 812.5,
        processes: 3,
        threads: 18,
        files: 42,
        readMB: 120.5,
        writtenMB: 3.25,
        gpus: [.init(index: 1, memoryMB: 11_264)]
    )

    private func health(_ second: Double, _ state: String = "running", _ usage: JSONValue? = usage) -> Event {
        Mesh.health(second, tools: [Mesh.listed(state, since: 1, usage: usage)])
    }

    private func usage(_ events: [Event], at second: Double = 40) throws -> ProcessUsage? {
        try #require(Mesh.state(events, at: second).tool("whisper", on: "pi")).usage
    }

    @Test func theLatestListCountsInAnyOrder() throws {
        let other: JSONValue = ["cpu": 0.5]
        #expect(try usage([health(10)]) == Self.figures)
        #expect(try usage([health(10), health(20, "running", other)]) == ProcessUsage(cpu: 0.5))
        #expect(try usage([health(20, "running", other), health(10)]) == ProcessUsage(cpu: 0.5))
        #expect(try usage([health(10), health(20, "running", nil)]) == nil)
    }

    @Test func aToolThatDoesNotRunUsesNothing() throws {
        for state in ["stopped", "failed", "backing_off", "installed", "new"] {
            #expect(try usage([health(10, state)]) == nil, "\(state)")
        }
        for event in ["stopped", "crashed", "started", "removed"] {
            #expect(try usage([health(10), Mesh.tool(event, 11)]) == nil, "\(event)")
        }
        #expect(try usage([Mesh.tool("crashed", 9), health(10)]) == Self.figures)
        #expect(try usage([health(10), Mesh.left(11)]) == nil)
        // Unreachable: the last figures, as with the state.
        #expect(try usage([health(10)], at: 90) == Self.figures)
    }

    @Test func whatIsOddIsUnknownAndNothingElseIsLost() throws {
        let odd: JSONValue = [
            "cpu": -1, "files": 1.5, "gpus": [7, ["index": -2], ["index": 3, "memory_mb": "x"]], "memory_mb": 1e300,
            "processes": "3", "read_mb": nil, "threads": 9_223_372_036_854_775_807, "written_mb": 2.5,
        ]
        #expect(try usage([health(10, "running", odd)]) == ProcessUsage(writtenMB: 2.5, gpus: [.init(index: 3)]))
        for none: JSONValue in [7, "x", [], [:], nil, ["cpu": -1]] {
            #expect(try usage([health(10, "running", none)]) == nil, "\(none)")
        }
        let many = JSONValue((0..<500).map { ["index": JSONValue($0)] as JSONValue })
        #expect(try usage([health(10, "running", ["gpus": many])])?.gpus.count == ProcessUsage.maximumGPUs)
    }

    @Test func figuresAreNoChangeOfTheTool() {
        var state = Mesh.state([health(10)], at: 15)
        #expect(state.apply(health(20, "running", ["cpu": 7]))?.kinds == .resources)
        #expect(state.tool("whisper", on: "pi")?.usage == ProcessUsage(cpu: 7))
        #expect(state.apply(health(30, "failed"))?.kinds == [.resources, .tool])
    }

    @Test func theyOutliveASnapshot() throws {
        let odd: JSONValue = [
            "cpu": 0.123456789, "memory_mb": 123_456.789, "written_mb": 0.0123, "read_mb": 98_765_432.1, "files": 1,
        ]
        for usage in [Self.usage, odd] {
            let state = Mesh.state([health(10, "running", usage)], at: 40)
            let snapshot = try #require(state.snapshot(of: "pi"))
            var leftOut = MeshState.LeftOut()
            let read = NodeSnapshot(json: snapshot.json(at: state.now), limits: .init(), &leftOut)
            #expect(read?.record == snapshot.record && leftOut.isEmpty)
        }
    }

    @Test func inTheJSONTheyHaveTheNamesOfTheEvent() throws {
        let tool = try #require(Mesh.state([health(10)], at: 40).tool("whisper", on: "pi"))
        #expect(tool.json["usage"] == Self.usage)
    }

    @Test func theyTakeLittleRoom() {
        #expect(MemoryLayout<StoredUsage?>.size <= 40)
        #expect(MemoryLayout<ToolRecord>.stride <= ToolRecord.ownBytes)
    }
}
