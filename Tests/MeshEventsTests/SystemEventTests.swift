import MeshEvents
import Testing

@Suite struct SystemEventTests {
    /// The ten constructors with the arguments that made the Go messages.
    static let events: [(subject: String, event: Event)] = [
        ("events.tool.installed", .toolInstalled(node: "node-a", tool: "whisper", version: "v1.0.0")),
        (
            "events.tool.configured",
            .toolConfigured(node: "node-a", tool: "whisper", config: ["model": "base", "beam": 5])
        ),
        ("events.tool.configured", .toolConfigured(node: "node-a", tool: "whisper", config: nil)),
        ("events.tool.started", .toolStarted(node: "node-a", tool: "whisper")),
        ("events.tool.stopped", .toolStopped(node: "node-a", tool: "whisper", reason: "update")),
        ("events.tool.crashed", .toolCrashed(node: "node-a", tool: "whisper", error: "OOM killed", restartCount: 2)),
        ("events.tool.removed", .toolRemoved(node: "node-a", tool: "whisper")),
        ("events.node.joined", .nodeJoined(node: "node-a", capabilities: ["vram_gb": 24, "gpu": true])),
        ("events.node.joined", .nodeJoined(node: "node-b", capabilities: nil)),
        ("events.node.left", .nodeLeft(node: "node-a", reason: "shutdown")),
        ("events.node.health", .nodeHealth(node: "node-a", status: "online", resources: ["gpu_util": 0.45])),
    ]

    @Test(arguments: events.indices) func `the ten events are byte for byte what Go writes, the time apart`(index: Int)
        throws
    {
        let message = GoEvents.all[index]
        #expect(message.subject == Self.events[index].subject)
        var event = Self.events[index].event
        event.timestamp = try decode(message.payload, subject: message.subject).timestamp
        #expect(try encoded(event) == message.payload)
    }

    @Test func `a user's event has the topic in its type`() throws {
        let event = try Event.user(
            node: "node-a",
            topic: "training.complete",
            data: ["epochs": 100, "loss": 0.023, "model": "my-fine-tune"]
        )
        let message = try #require(GoEvents.all.first { $0.subject == event.subject })
        var sent = event
        sent.timestamp = try decode(message.payload, subject: message.subject).timestamp
        #expect(try encoded(sent) == message.payload)
        #expect(throws: MeshEventsError.self) { try Event.user(topic: "a b") }
    }

    private func roundTrip<Payload: EventPayload & Equatable>(_ payload: Payload) throws {
        let event = try Event(payload, node: "n")
        #expect(event.type == Payload.eventType)
        let back = try decode(encoded(event), subject: event.subject)
        #expect(try back.payload(as: Payload.self) == payload)
    }

    @Test func `every payload comes back as it went`() throws {
        let hostile = "a\"b\\c\n\u{0}é日🚀 and longer than fifteen bytes"
        let data: EventData = ["x": ["y": [1, 2.5, nil]]]
        try roundTrip(ToolInstalled(tool: hostile, version: "v1"))
        try roundTrip(ToolConfigured(tool: hostile, config: data))
        try roundTrip(ToolConfigured(tool: "", config: nil))
        try roundTrip(ToolStarted(tool: hostile))
        try roundTrip(ToolStopped(tool: "t", reason: hostile))
        try roundTrip(ToolStopped(tool: "t", reason: hostile, failed: true, error: hostile))
        try roundTrip(ToolStopped(tool: "t", reason: "", failed: true, error: nil))
        try roundTrip(ToolCrashed(tool: "t", error: hostile, restartCount: .max))
        try roundTrip(ToolCrashed(tool: "t", error: "", restartCount: .min))
        try roundTrip(ToolCrashed(tool: "t", error: "", restartCount: 1, output: [hostile, "", "b"]))
        try roundTrip(ToolStarted(tool: hostile, isReady: false))
        try roundTrip(ToolReady(tool: hostile, afterSeconds: 0.25))
        try roundTrip(ToolUnhealthy(tool: "t", reason: hostile, failures: .max, isRestarting: true))
        try roundTrip(ToolUnhealthy(tool: "", reason: "", failures: .min, isRestarting: false))
        try roundTrip(ToolHealthy(tool: hostile, unhealthySeconds: .greatestFiniteMagnitude))
        try roundTrip(ToolRemoved(tool: hostile))
        try roundTrip(ToolControlled(tool: hostile, action: hostile, by: hostile))
        try roundTrip(
            ToolControlled(tool: "", action: "signal", result: "x", error: hostile, signal: hostile, omitted: .max)
        )
        try roundTrip(NodeJoined(capabilities: data))
        try roundTrip(NodeLeft(reason: hostile))
        try roundTrip(NodeHealth(status: hostile, resources: data))
        try roundTrip(NodeHealth(status: "online", resources: .empty))
        try roundTrip(NodeHealth(status: "online", resources: .empty, tools: []))
        let tool = NodeHealth.Tool(name: hostile, version: hostile, state: .init(rawValue: hostile), restarts: .max)
        let other = NodeHealth.Tool(name: "", version: "", state: .failed, since: .now, restarts: .min, error: hostile)
        let usage = ProcessUsage(
            cpu: 1.25,
            memoryMB: 812.5,
            processes: 3,
            threads: 18,
            files: 42,
            readMB: 120.5,
            writtenMB: 3.25,
            gpus: [.init(index: 1, memoryMB: 11_264), .init(index: 2), .init(memoryMB: 3)]
        )
        let user = NodeHealth.Tool(name: "a", version: "1", state: .running, usage: usage)
        let idle = NodeHealth.Tool(name: "b", version: "1", state: .running, usage: ProcessUsage(cpu: 0))
        try roundTrip(NodeHealth(status: "online", resources: nil, tools: [user, idle]))
        let ill = NodeHealth.Tool(
            name: "a",
            version: "1",
            state: .running,
            isReady: false,
            health: hostile,
            healthReason: hostile,
            healthSince: .now,
            status: hostile
        )
        try roundTrip(NodeHealth(status: "", resources: nil, tools: [tool, other, ill, tool], toolsOmitted: .max))
        try roundTrip(NodeUnreachable(node: hostile, lastSeen: .now, missed: .max, tools: [hostile, "", "b"]))
        try roundTrip(NodeUnreachable(node: "", lastSeen: .epoch, missed: 0, tools: []))
        try roundTrip(NodeRecovered(node: hostile, lastSeen: .now, awaySeconds: 0.1))
        try roundTrip(NodeForgotten(node: hostile))
        try roundTrip(NodeMaintenance(node: hostile, forSeconds: .greatestFiniteMagnitude, reason: hostile))
        try roundTrip(NodeMaintenance(node: "n", forSeconds: 0))
    }

    @Test func `the reports about other nodes are written as the wire contract says`() throws {
        let seen = try Timestamp(rfc3339: "2026-11-24T09:04:04.01671002Z")
        #expect(
            try NodeUnreachable(node: "pi", lastSeen: seen, missed: 3, tools: ["a", "b"]).eventData().json
                == #"{"last_seen":"2026-11-24T09:04:04.01671002Z","missed":3,"node":"pi","tools":["a","b"]}"#
        )
        #expect(
            try NodeRecovered(node: "pi", lastSeen: seen, awaySeconds: 94.5).eventData().json
                == #"{"away_s":94.5,"last_seen":"2026-11-24T09:04:04.01671002Z","node":"pi"}"#
        )
        #expect(try NodeForgotten(node: "pi").eventData().json == #"{"node":"pi"}"#)
        #expect(
            try NodeMaintenance(node: "pi", forSeconds: 7_200, reason: "new disk").eventData().json
                == #"{"for_s":7200,"node":"pi","reason":"new disk"}"#
        )
        #expect(try NodeMaintenance(node: "pi", forSeconds: 0).eventData().json == #"{"for_s":0,"node":"pi"}"#)
    }

    @Test func `the events about whether a tool works are written as the wire contract says`() throws {
        #expect(try ToolStarted(tool: "a", isReady: false).eventData().json == #"{"ready":false,"tool":"a"}"#)
        #expect(try ToolReady(tool: "a", afterSeconds: 2.25).eventData().json == #"{"after_s":2.25,"tool":"a"}"#)
        #expect(
            try ToolUnhealthy(tool: "a", reason: "no answer within 2s", failures: 3, isRestarting: true).eventData()
                .json
                == #"{"failures":3,"reason":"no answer within 2s","restarting":true,"tool":"a"}"#
        )
        #expect(try ToolHealthy(tool: "a", unhealthySeconds: 8).eventData().json == #"{"tool":"a","unhealthy_s":8}"#)
        let tool = NodeHealth.Tool(
            name: "a",
            version: "1",
            state: .running,
            isReady: false,
            health: NodeHealth.Tool.unhealthy,
            healthReason: "no answer within 2s",
            healthSince: try Timestamp(rfc3339: "2026-11-24T09:05:04.5Z"),
            status: "loading"
        )
        let json = #"""
            {"health":"unhealthy","health_reason":"no answer within 2s","health_since":"2026-11-24T09:05:04.5Z","name":"a",\#
            "ready":false,"restarts":0,"state":"running","status":"loading","version":"1"}
            """#
        #expect(
            try NodeHealth(status: "", resources: nil, tools: [tool]).eventData()["tools"]?[0]?.value.description
                == json
        )
    }

    @Test func `runs of tools with a schedule`() throws {
        let next = try Timestamp(rfc3339: "2026-11-25T03:00:00Z")
        #expect(
            try ToolFinished(tool: "backup", code: 0, durationSeconds: 41.5, next: next).eventData().json
                == #"{"code":0,"duration_s":41.5,"next":"2026-11-25T03:00:00Z","tool":"backup"}"#
        )
        let failed = ToolFinished(
            tool: "backup",
            code: 137,
            durationSeconds: 2,
            failed: true,
            error: "killed by signal 9 (SIGKILL)",
            output: ["no space"]
        )
        let line = #"""
            {"code":137,"duration_s":2,"error":"killed by signal 9 (SIGKILL)","failed":true,"output":["no space"],\#
            "tool":"backup"}
            """#
        #expect(try failed.eventData().json == line)
        let due = try Timestamp(rfc3339: "2026-11-24T03:00:00Z")
        #expect(
            try ToolSkipped(tool: "backup", reason: "overlap", due: due, next: next).eventData().json
                == #"{"due":"2026-11-24T03:00:00Z","next":"2026-11-25T03:00:00Z","reason":"overlap","tool":"backup"}"#
        )
        try roundTrip(failed)
        try roundTrip(ToolFinished(tool: "a\u{0}é", code: nil, durationSeconds: 0, failed: true, error: "no"))
        try roundTrip(ToolFinished(tool: "a", code: .max, durationSeconds: .greatestFiniteMagnitude, next: .epoch))
        #expect(
            try ToolSkipped(tool: "backup", reason: "overlap", due: due, count: 12).eventData().json
                == #"{"count":12,"due":"2026-11-24T03:00:00Z","reason":"overlap","tool":"backup"}"#
        )
        try roundTrip(ToolSkipped(tool: "a", reason: "missed", due: .epoch))
        try roundTrip(ToolSkipped(tool: "a", reason: "overlap", due: .epoch, count: .max))
        #expect(try ToolSkipped(eventData: ["count": -1]).count == 1)
        #expect(try ToolFinished(eventData: nil) == ToolFinished(tool: "", code: nil, durationSeconds: 0))
        #expect(try ToolSkipped(eventData: .empty) == ToolSkipped(tool: "", reason: "", due: .epoch))
        for json in [
            #"{"code":"0"}"#, #"{"code":1.5}"#, #"{"duration_s":"2"}"#, #"{"failed":1}"#, #"{"next":"soon"}"#,
            #"{"error":[]}"#, #"{"tool":1}"#, #"{"output":[1]}"#, #"{"output":"a"}"#,
        ] {
            let data = try EventData(json: json)
            #expect(throws: MeshEventsError.self, "\(json)") { try ToolFinished(eventData: data) }
        }
        for json in [#"{"due":1}"#, #"{"next":"soon"}"#, #"{"reason":1}"#, #"{"count":"2"}"#] {
            let data = try EventData(json: json)
            #expect(throws: MeshEventsError.self, "\(json)") { try ToolSkipped(eventData: data) }
        }
    }

    @Test func `the affected node is the one that the data names, in reports about nodes only`() throws {
        let reports: [EventType] = [.nodeUnreachable, .nodeRecovered, .nodeForgotten, .nodeMaintenance]
        for type in reports {
            #expect(Event(type, node: "keeper", data: ["node": "pi"]).affectedNode == "pi", "\(type)")
            let withoutName: [EventData] = [nil, .empty, ["node": ""], ["node": 1], ["node": nil]]
            for data in withoutName { #expect(Event(type, node: "keeper", data: data).affectedNode == "keeper") }
        }
        let others: [EventType] = [.nodeHealth, .nodeLeft, .toolStarted, "user.node.unreachable", "node.unreachable.x"]
        for type in others { #expect(Event(type, node: "a", data: ["node": "pi"]).affectedNode == "a", "\(type)") }
    }

    @Test func `what a tool uses is written rounded, and read within bounds`() throws {
        func health(_ usage: ProcessUsage?) -> NodeHealth {
            NodeHealth(
                status: "online",
                resources: nil,
                tools: [.init(name: "a", version: "1", state: .running, usage: usage)]
            )
        }
        let usage = ProcessUsage(
            cpu: 0.123456,
            memoryMB: 1_234.5678,
            readMB: 99.94,
            writtenMB: 3.456,
            gpus: (0..<40).map { .init(index: $0) }
        )
        let text = try health(usage).eventData().json
        #expect(text.contains(#""usage":{"cpu":0.123,"gpus":[{"index":0},{"index":1},"#))
        #expect(text.contains(#""index":15}],"memory_mb":1235,"read_mb":99.9,"written_mb":3.46}"#))
        #expect(try !health(nil).eventData().json.contains("usage"))
        func read(_ usage: String) throws -> ProcessUsage? {
            try NodeHealth(eventData: EventData(json: #"{"tools":[{"name":"a","usage":\#(usage)}]}"#)).tools?.first?
                .usage
        }
        #expect(try read("null") == nil && read("{}") == ProcessUsage())
        #expect(try read(#"{"cpu":null,"new":[1],"files":7}"#) == ProcessUsage(files: 7))
        for bad in [
            "7", "[]", #"{"cpu":"1"}"#, #"{"cpu":-0.1}"#, #"{"cpu":1e300}"#, #"{"memory_mb":1e400}"#, #"{"files":1.5}"#,
            #"{"files":-1}"#, #"{"threads":9223372036854775807}"#, #"{"gpus":{}}"#, #"{"gpus":[1]}"#,
            #"{"gpus":[{"index":-1}]}"#,
        ] {
            #expect(throws: MeshEventsError.self, "\(bad)") { try read(bad) }
        }
    }

    @Test func `tools stand beside status and resources, which stay as they are without`() throws {
        var health = NodeHealth(status: "online", resources: ["gpu_util": 0.45])
        let plain = #"{"resources":{"gpu_util":0.45},"status":"online"}"#
        #expect(try health.eventData().json == plain)
        health.tools = []
        let start = String(plain.dropLast())
        #expect(try health.eventData().json == start + #","tools":[]}"#)
        let since = try Timestamp(rfc3339: "2026-11-24T09:04:34.01671002Z")
        health.tools = [
            .init(name: "a", version: "1.0", state: .running, since: since),
            .init(name: "b", version: "2", state: .backingOff, since: since, restarts: 2, error: "exited with code 3"),
        ]
        health.toolsOmitted = 7
        let tools = #"""
            ,"tools":[{"name":"a","restarts":0,"since":"2026-11-24T09:04:34.01671002Z","state":"running",\#
            "version":"1.0"},{"error":"exited with code 3","name":"b","restarts":2,\#
            "since":"2026-11-24T09:04:34.01671002Z","state":"backing_off","version":"2"}],"tools_omitted":7}
            """#
        #expect(try health.eventData().json == start + tools)
        #expect(
            try ToolStopped(tool: "a", reason: "gave up after 5 restarts", failed: true, error: "no").eventData().json
                == #"{"error":"no","failed":true,"reason":"gave up after 5 restarts","tool":"a"}"#
        )
    }

    @Test func `a crash without output is written as ever`() throws {
        let crash = ToolCrashed(tool: "a", error: "no", restartCount: 1)
        #expect(try crash.eventData().json == #"{"error":"no","restart_count":1,"tool":"a"}"#)
        #expect(
            try ToolCrashed(tool: "a", error: "no", restartCount: 1, output: ["x", "y"]).eventData().json
                == #"{"error":"no","output":["x","y"],"restart_count":1,"tool":"a"}"#
        )
        #expect(try ToolCrashed(eventData: EventData(json: #"{"output":null}"#)).output.isEmpty)
    }

    @Test(arguments: [true, false]) func `a crash says whether the tool is started again`(_ isRestarting: Bool) throws {
        let crash = ToolCrashed(tool: "a", error: "no", restartCount: 1, isRestarting: isRestarting)
        let json = #"{"error":"no","restart_count":1,"restarting":\#(isRestarting),"tool":"a"}"#
        #expect(try crash.eventData().json == json)
        try roundTrip(crash)
        #expect(try ToolCrashed.isFinal(crash.eventData()) == !isRestarting)
        #expect(throws: MeshEventsError.self) { try ToolCrashed(eventData: ["restarting": "no"]) }
    }

    @Test func `of a stranger's giant output the last lines are read, and what is missing is said`() throws {
        let lines = (1...5_000).map { JSONValue("line \($0)") }
        let many = try ToolCrashed(eventData: ["output": .array(lines)]).output
        #expect(many.count == 1_001 && many.first == "… 4000 earlier lines left out" && many.last == "line 5000")
        let long = String(repeating: "ä", count: 100_000)
        let cut = try ToolCrashed(eventData: ["output": [.string(long), "end"]]).output
        #expect(cut.count == 2 && cut[0].contains(" bytes cut … ä") && cut[0].utf8.count <= 8 << 10 && cut[1] == "end")
        let wide = (0..<100).map { _ in JSONValue(String(repeating: "x", count: 8_000)) }
        let bounded = try ToolCrashed(eventData: ["output": .array(wide)]).output
        #expect(bounded.reduce(0) { $0 + $1.utf8.count + 1 } <= 64 << 10 && bounded[0].hasPrefix("… 9"))
    }

    @Test func `what is missing reads as empty, a wrong kind is an error`() throws {
        #expect(try ToolCrashed(eventData: .empty) == ToolCrashed(tool: "", error: "", restartCount: 0))
        #expect(try NodeHealth(eventData: nil) == NodeHealth(status: "", resources: nil))
        let float = try EventData(json: #"{"restart_count":2.0,"tool":null,"more":[]}"#)
        #expect(try ToolCrashed(eventData: float).restartCount == 2)
        for (json, name) in [
            (#"{"restart_count":"2"}"#, "restart_count"), (#"{"tool":1}"#, "tool"),
            (#"{"restart_count":1.5}"#, "restart_count"), (#"{"output":"a"}"#, "output"),
            (#"{"output":[1]}"#, "output"),
        ] {
            let error = try #require(throws: MeshEventsError.self) { try ToolCrashed(eventData: EventData(json: json)) }
            #expect(error.code == .invalidData)
            #expect(error.message.contains("'\(name)'"))
        }
        let bare = try NodeHealth(eventData: EventData(json: #"{"tools":[{},{"since":null,"error":null}]}"#))
        let empty = NodeHealth.Tool(name: "", version: "", state: .init(rawValue: ""))
        #expect(bare.tools == [empty, empty] && bare.toolsOmitted == 0)
        for json in [
            #"{"resources":[]}"#, #"{"tools":{}}"#, #"{"tools":[null]}"#, #"{"tools":[{"name":1}]}"#,
            #"{"tools":[{"since":"noon"}]}"#, #"{"tools":[{"restarts":1.5}]}"#, #"{"tools_omitted":"1"}"#,
        ] {
            #expect(throws: MeshEventsError.self, "\(json)") { try NodeHealth(eventData: EventData(json: json)) }
        }
        #expect(throws: MeshEventsError.self) { try ToolStopped(eventData: EventData(json: #"{"failed":"yes"}"#)) }
        #expect(
            try NodeUnreachable(eventData: nil) == NodeUnreachable(node: "", lastSeen: .epoch, missed: 0, tools: [])
        )
        for json in [#"{"last_seen":"noon"}"#, #"{"last_seen":1}"#, #"{"tools":[1]}"#, #"{"tools":"a"}"#] {
            let data = try EventData(json: json)
            #expect(throws: MeshEventsError.self, "\(json)") { try NodeUnreachable(eventData: data) }
        }
        // A number that is no Double has no meaning in seconds.
        for json in [#"{"for_s":1e999}"#, #"{"for_s":"2h"}"#] {
            let data = try EventData(json: json)
            #expect(throws: MeshEventsError.self, "\(json)") { try NodeMaintenance(eventData: data) }
        }
    }

    @Test func `a payload of another type is refused`() throws {
        let error = try #require(throws: MeshEventsError.self) {
            try Event.toolStarted(tool: "x").payload(as: ToolRemoved.self)
        }
        #expect(error.code == .invalidEventType)
    }

    struct TrainingComplete: EventPayload, Codable, Equatable {
        static let eventType: EventType = "user.training.complete"
        var model: String
        var epochs: UInt64
        var loss: Double?
        var tags: [String: Int]
        var at: Timestamp
    }

    struct NotAnObject: EventPayload, Codable {
        static let eventType: EventType = "user.list"
        var values: [Int]
        func encode(to encoder: any Encoder) throws { try values.encode(to: encoder) }
    }

    @Test func `a user's own Codable payload travels`() throws {
        let payload = TrainingComplete(
            model: "fine/tuné\n",
            epochs: .max,
            loss: 1e-7,
            tags: ["b": 1, "a": 2],
            at: .now
        )
        try roundTrip(payload)
        let data = try payload.eventData()
        #expect(data.keys == ["at", "epochs", "loss", "model", "tags"])
        #expect(data["epochs"]?.uint64 == .max)
        #expect(data["at"]?.string == payload.at.description)
        #expect(!data.json.utf8.contains { $0 < 0x20 })
        let error = try #require(throws: MeshEventsError.self) { try NotAnObject(values: [1]).eventData() }
        #expect(error.code == .invalidData)
        let mismatch = try #require(throws: MeshEventsError.self) {
            try Event("user.training.complete", data: ["model": 1]).payload(as: TrainingComplete.self)
        }
        #expect(mismatch.code == .invalidData)
        #expect(mismatch.underlying is DecodingError)
    }
}
