import MeshEvents
import MeshMonitoring
import TestSupport
import Testing

/// The state as a whole: what the Go mesh sends, changes, JSON, forgetting, size.
@Suite struct MeshStateTests {
    /// What the Go implementation puts on the wire, as recorded from it: subject and payload.
    private static let goEvents = [
        #"{"type":"tool.installed","node":"node-a","timestamp":"2026-11-24T09:04:34.01671002Z","data":{"tool":"whisper","version":"v1.0.0"}}"#,
        #"{"type":"tool.configured","node":"node-a","timestamp":"2026-11-24T09:04:34.01678566Z","data":{"config":{"beam":5,"model":"base"},"tool":"whisper"}}"#,
        #"{"type":"tool.configured","node":"node-a","timestamp":"2026-11-24T09:04:34.016795233Z","data":{"config":null,"tool":"whisper"}}"#,
        #"{"type":"tool.started","node":"node-a","timestamp":"2026-11-24T09:04:34.016799629Z","data":{"tool":"whisper"}}"#,
        #"{"type":"tool.stopped","node":"node-a","timestamp":"2026-11-24T09:04:34.016803774Z","data":{"reason":"update","tool":"whisper"}}"#,
        #"{"type":"tool.crashed","node":"node-a","timestamp":"2026-11-24T09:04:34.016805859Z","data":{"error":"OOM killed","restart_count":2,"tool":"whisper"}}"#,
        #"{"type":"tool.removed","node":"node-a","timestamp":"2026-11-24T09:04:34.016808527Z","data":{"tool":"whisper"}}"#,
        #"{"type":"node.joined","node":"node-a","timestamp":"2026-11-24T09:04:34.016811649Z","data":{"capabilities":{"gpu":true,"vram_gb":24}}}"#,
        #"{"type":"node.joined","node":"node-b","timestamp":"2026-11-24T09:04:34.016813981Z","data":{"capabilities":null}}"#,
        #"{"type":"node.left","node":"node-a","timestamp":"2026-11-24T09:04:34.0168152Z","data":{"reason":"shutdown"}}"#,
        #"{"type":"node.health","node":"node-a","timestamp":"2026-11-24T09:04:34.016819388Z","data":{"resources":{"gpu_util":0.45},"status":"online"}}"#,
        #"{"type":"user.training.complete","node":"node-a","timestamp":"2026-11-24T09:04:34.016823803Z","data":{"epochs":100,"loss":0.023,"model":"my-fine-tune"}}"#,
        #"{"type":"user.nil.data","node":"node-a","timestamp":"2026-11-24T09:04:34.01682771Z","data":null}"#,
        #"{"type":"user.escapes","node":"node-a","timestamp":"2026-11-24T09:04:34.016832318Z","data":{"big":9007199254740993,"control":"\u0000\u0001\t\n\r","float":1e+21,"html":"\u003cb\u003e\u0026amp;\u003c/b\u003e","line":"\u2028\u2029","neg":0,"quote":"a\"b\\c","small":1e-7,"unicode":"héllo – 日本 🚀"}}"#,
        #"{"type":"tool.started","node":"node-a","timestamp":"2026-11-24T09:04:34.016848067Z","data":{"tool":"default-node"}}"#,
    ]

    private func decode(_ text: String, subject: String, received: Timestamp) throws -> Event {
        var decoder = EventDecoder()
        return try Array(subject.utf8).withUnsafeBytes { subject in
            try Array(text.utf8).withUnsafeBytes {
                try decoder.decode(subject: subject, payload: $0, received: received)
            }
        }
    }

    @Test func whatTheGoMeshSends() throws {
        var state = MeshState()
        let received = try Timestamp(rfc3339: "2026-11-24T09:04:35Z")
        for text in Self.goEvents {
            let type = try #require(EventData(json: text)["type"]?.string)
            state.apply(try decode(text, subject: "events.\(type)", received: received))
        }
        state.advance(to: received.adding(.seconds(1)))
        let first = try #require(state.node("node-a"))
        #expect(state.nodes.map(\.name) == ["node-a", "node-b"])
        // Health came after it had left.
        #expect(first.status == .online && first.reportedStatus == "online")
        #expect(first.capabilities == ["gpu": true, "vram_gb": 24] && first.resources == ["gpu_util": 0.45])
        #expect(first.tools.map(\.name) == ["default-node", "whisper"])
        #expect(first.tools.map(\.state) == [.running, .removed])
        #expect(first.tool("whisper")?.version == "v1.0.0" && first.tool("whisper")?.lastError == "OOM killed")
        let second = try #require(state.node("node-b"))
        #expect(second.status == .online && second.capabilities.isNull && !second.sendsHealth)
        // Its incomplete event of a reconnect.
        let reconnect = #"{"node":"node-a","event":"reconnect"}"#
        state.apply(
            try decode(reconnect, subject: "events.node.joined", received: received.adding(.seconds(5))),
            receivedAt: received.adding(.seconds(5))
        )
        #expect(state.node("node-a")?.capabilities == ["gpu": true, "vram_gb": 24])
        #expect(state.node("node-a")?.joinedAt == received.adding(.seconds(5)))
    }

    @Test func saysWhatAnEventChanged() {
        var state = MeshState()
        func kinds(_ event: Event) -> MeshState.Change.Kinds? { state.apply(event)?.kinds }
        #expect(kinds(Mesh.joined(0)) == [.joined, .capabilities, .status])
        #expect(kinds(Mesh.joined(1)) == .joined)
        #expect(kinds(Mesh.joined(0.5, ["tools": 9])) == nil)
        #expect(kinds(Mesh.health(2)) == .resources)
        #expect(kinds(Mesh.health(3, "degraded", ["checks": ["a": "b"]])) == [.resources, .status])
        #expect(kinds(Mesh.health(4, "degraded", ["checks": ["a": "b"]])) == .resources)
        #expect(kinds(Mesh.health(5, "degraded", ["checks": ["a": "c"]])) == [.resources, .status])
        #expect(state.apply(Mesh.tool("started", 6)) == .init(node: "pi", kinds: .tool, tool: "whisper"))
        #expect(state.apply(Mesh.tool("configured", 6.5)) == nil)
        #expect(state.apply(Mesh.tool("stopped", 5)) == nil)
        #expect(kinds(Mesh.left(7)) == [.status, .tool])
        #expect(kinds(Mesh.joined(8)) == [.status, .joined])
    }

    @Test func saysWhoBecameUnreachableAndOnlyOnce() {
        var state = MeshState()
        state.apply(Mesh.health(0, node: "a"))
        state.apply(Mesh.health(5, node: "b"))
        state.apply(Mesh.tool("started", 5, node: "b"))
        state.apply(Mesh.joined(0, node: "go"))
        #expect(state.nextDeadline == Mesh.time(30))
        #expect(state.advance(to: Mesh.time(29)).isEmpty)
        #expect(state.advance(to: Mesh.time(30)) == [.init(node: "a", kinds: .status)])
        #expect(state.nextDeadline == Mesh.time(35))
        #expect(state.advance(to: Mesh.time(60)) == [.init(node: "b", kinds: [.status, .tool])])
        #expect(state.advance(to: Mesh.time(90)).isEmpty)
        // The one that sends no health.
        #expect(state.nextDeadline == Mesh.time(300))
        #expect(state.advance(to: Mesh.time(300)) == [.init(node: "go", kinds: .status)])
        #expect(state.nextDeadline == nil)
        #expect(state.apply(Mesh.health(301, node: "a"))?.kinds == [.resources, .status])
        #expect(state.nextDeadline == Mesh.time(331))
    }

    @Test func forgetsWhatIsGone() {
        var state = Mesh.state(
            [
                Mesh.joined(0, node: "left"), Mesh.left(1, node: "left"), Mesh.health(0, node: "dead"),
                Mesh.joined(0, node: "silent"), Mesh.joined(900, node: "quiet"), Mesh.health(990, node: "alive"),
                Mesh.tool("removed", 1, node: "alive", ["tool": "old"]),
                Mesh.tool("removed", 980, node: "alive", ["tool": "new"]),
                Mesh.tool("started", 1, node: "alive"),
            ],
            at: 1_000
        )
        state.forget(olderThan: Mesh.time(500))
        #expect(state.nodes.map(\.name) == ["alive", "quiet"])
        #expect(state.tools(on: "alive").map(\.name) == ["new", "whisper"])
    }

    @Test func theJSONIsStable() throws {
        let state = Mesh.state(
            [
                Mesh.joined(0, ["tools": 1]), Mesh.health(1, "degraded", ["checks": ["disk": "full"], "cpu": 0.5]),
                Mesh.tool("installed", 2, ["tool": "whisper", "version": "v1"]), Mesh.tool("started", 3),
            ],
            at: 4
        )
        let expected = """
            {"left_out":{"nodes":0,"tools":0,"values":0},"nodes":[{"capabilities":{"tools":1},"checks":{"disk":"full"},"interval_s":10,"joined":"2027-01-15T08:00:00Z",\
            "last_seen":"2027-01-15T08:00:03Z","leave_reason":null,"left":null,\
            "maintenance_reason":null,"maintenance_until":null,"name":"pi","reported_status":"degraded",\
            "resources":{"checks":{"disk":"full"},"cpu":0.5},"sends_health":true,"status":"degraded",\
            "tools":[{"last_crash":null,"last_error":null,"name":"whisper","next_start":null,"ready":true,\
            "restart_count":0,"since":"2027-01-15T08:00:03Z","state":"running","status_text":null,"stop_reason":null,\
            "uncertain":false,"unhealthy":null,"unhealthy_since":null,"usage":null,"version":"v1"}],\
            "unreachable_since":null}],"summary":{"backing_off":0,"crashed":0,"degraded":1,"failed":0,"installed":0,"left":0,\
            "nodes":1,"online":0,"running":1,"silent":0,"starting":0,"stopped":0,"tools":1,"uncertain":0,"unreachable":0},"time":"2027-01-15T08:00:04Z"}
            """
        #expect(state.json.json == expected)
        #expect(MeshState().json["nodes"]?.array?.isEmpty == true)
    }

    @Test(arguments: [(depth: 99, isKept: true), (depth: 120, isKept: false)])
    func dataNestedTooDeeplyDoesNotSpoilTheJSON(depth: Int, isKept: Bool) throws {
        let brackets = (String(repeating: "[", count: depth), String(repeating: "]", count: depth))
        let deep = try EventData(json: #"{"a":\#(brackets.0)\#(brackets.1)}"#)
        let state = Mesh.state([Mesh.joined(0, JSONValue(deep))], at: 1)
        #expect(state.node("pi")?.capabilities == (isKept ? deep : nil))
        #expect(state.leftOut.values == (isKept ? 0 : 1))
        try state.json.validate()
        #expect(state.json["nodes"]?.array?.first?.data?["capabilities"]?.isNull == !isKept)
    }

    @Test func aThousandNodesFoldRight() throws {
        var state = MeshState()
        for node in 0..<1_000 {
            let name = "node-\(node)"
            state.apply(Mesh.joined(Double(node % 10), node: name, ["interval_s": 10, "number": JSONValue(node)]))
            state.apply(Mesh.tool("installed", 10, node: name, ["tool": "a", "version": "v\(node)"]))
            state.apply(Mesh.tool("started", 11, node: name, ["tool": "a"]))
        }
        for round in 1...10 {
            for node in 0..<1_000 where node % 4 != 0 || round < 3 {
                let status = node % 5 == 0 ? "degraded" : "online"
                state.apply(Mesh.health(10 + Double(round * 10), node: "node-\(node)", status))
            }
        }
        for node in stride(from: 1, to: 1_000, by: 100) { state.apply(Mesh.left(111, node: "node-\(node)")) }
        state.advance(to: Mesh.time(112))
        let summary = state.summary
        #expect(summary.nodes == 1_000 && summary.tools == 1_000)
        #expect(summary.unreachable == 250 && summary.left == 10 && summary.degraded == 150 && summary.online == 590)
        #expect(summary.uncertain == 250 && summary.running == 740 && summary.stopped == 10)
        #expect(state.node("node-997")?.capabilities["number"]?.int == 997)
        #expect(state.tool("a", on: "node-997")?.version == "v997")
    }
}
