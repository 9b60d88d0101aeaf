import MeshEvents
import MeshLogging
import MeshMonitoring
import Testing

@testable import mesh_events

/// What `status NODE` and `status NODE/TOOL` say.
@Suite struct StatusDetailTests {
    private let start = Timestamp(nanosecondsSinceEpoch: 1_800_000_000_000_000_000)

    private func stored(_ second: Double, _ type: EventType, _ data: EventData, node: String = "pi") -> StoredEvent {
        let time = start.adding(.seconds(second))
        return StoredEvent(
            event: Event(type, node: node, timestamp: time, data: data),
            sequence: UInt64(second * 10) + 1,
            storedAt: time
        )
    }

    private var events: [StoredEvent] {
        let capabilities: EventData = [
            "version": "1.2.0", "os": "linux", "arch": "arm64", "cpus": 4, "mem_mb": 4_096, "host": "pi.local",
            "tools": 2,
            "room": "attic", "instance": "x", "interval_s": 10,
        ]
        let resources: EventData = [
            "cpu": 0.421, "load": [0.1, 0.25, 3], "mem_used_mb": 812, "mem_total_mb": 4_096, "disk_free_mb": 10_240,
            "uptime_s": 7_300, "checks": ["disk": "full", "net": "slow"], "instance": "x", "interval_s": 10,
        ]
        return [
            stored(0, .nodeJoined, ["capabilities": JSONValue(capabilities)]),
            stored(1, .toolInstalled, ["tool": "whisper", "version": "v1.0"]),
            stored(2, .toolStarted, ["tool": "whisper"]),
            stored(3, .toolCrashed, ["tool": "whisper", "error": "exited with code 3", "restart_count": 1]),
            stored(4, .toolStarted, ["tool": "whisper"]),
            stored(5, .toolStarted, ["tool": "steady"]),
            stored(100, .nodeHealth, ["status": "degraded", "resources": JSONValue(resources)]),
        ]
    }

    private func detail(_ tool: String? = nil, recent: RecentEvents? = nil, at second: Double = 101) throws
        -> StatusDetail
    {
        var mesh = MeshState()
        for event in events { mesh.apply(event) }
        mesh.advance(to: start.adding(.seconds(second)))
        let subject = try StatusArgument(text: "pi", tool: tool).subject(in: mesh)
        return StatusDetail(subject: subject, recent: recent, now: mesh.now)
    }

    private var recent: RecentEvents {
        let newest = [
            events[3], events[4],
            stored(
                90,
                .nodeUnreachable,
                ["node": "pi", "missed": 3, "last_seen": "x", "tools": ["a"]],
                node: "keeper"
            ),
        ]
        return RecentEvents(events: newest, restarts: ["whisper": 1])
    }

    @Test func aNodeInDetail() throws {
        let lines = StatusDetailFormatter(isColored: false, width: nil).lines(try detail(recent: recent))
        #expect(
            lines == [
                "Node       pi",
                "Status     degraded; last seen 1s ago",
                "Checks     disk: full",
                "           net: slow",
                "Version    1.2.0",
                "Joined     101s ago",
                "Uptime     2h 1m",
                "Restarts   1 in total, 1 in the last hour",
                "Resources  cpu 42 %, load 0.1 0.3 3, memory 812 MB of 4 GB, 10 GB of disk free",
                "Machine    pi.local, linux, arm64, 4 cpus, 4 GB",
                "Other      room=attic",
                "",
                "TOOL     VERSION  STATE    SINCE    RESTARTS    DETAILS",
                "steady   -        running  96s ago  0",
                "whisper  v1.0     running  97s ago  1, 1 in 1h  crashed 98s ago: exited with code 3",
                "",
                "WHEN     EVENT             DATA",
                #"98s ago  tool.crashed      whisper  error="exited with code 3" restart_count=1"#,
                "97s ago  tool.started      whisper",
                "11s ago  node.unreachable  last_seen=x missed=3 tools=a  from keeper",
            ],
            "\(lines.joined(separator: "\n"))"
        )
    }

    @Test func aToolInDetail() throws {
        let lines = StatusDetailFormatter(isColored: false, width: nil).lines(try detail("whisper", recent: recent))
        #expect(
            lines.prefix(6) == [
                "Tool      whisper",
                "Status    running, since 97s ago",
                "Version   v1.0",
                "Uptime    1m 37s",
                "Restarts  1 in total, 1 in the last hour",
                "Error     exited with code 3 (98s ago)",
            ]
        )
        #expect(lines[6] == "Node      pi: degraded; last seen 1s ago", "\(lines.joined(separator: "\n"))")
        let away = StatusDetailFormatter(isColored: false, width: nil).lines(try detail("whisper", at: 1_000))
        #expect(
            away.contains("Status    running, since 16m ago, as far as is known: its node is unreachable"),
            "\(away)"
        )
        #expect(!away.contains { $0.hasPrefix("Uptime") })
    }

    @Test func theOutputOfTheLastCrashIsShownAndEscaped() throws {
        let crash: EventData = [
            "tool": "whisper", "error": "exited with code 3", "restart_count": 1,
            "output": ["CUDA out of memory", "\u{1B}[2Jhidden"],
        ]
        var recent = recent
        recent.lastCrash = stored(3, .toolCrashed, crash)
        recent.events = [stored(3, .toolCrashed, crash)]
        let detail = try detail("whisper", recent: recent)
        let lines = StatusDetailFormatter(isColored: false, width: nil).lines(detail)
        #expect(lines.contains("Output    CUDA out of memory"), "\(lines)")
        #expect(lines.contains(#"          \u001b[2Jhidden"#), "\(lines)")
        #expect(lines.last?.hasSuffix(#"whisper  error="exited with code 3" restart_count=1"#) == true, "\(lines)")
        #expect(!lines.joined().contains("\u{1B}"))
        let json = try EventData(json: detail.json())
        #expect(json["crash_output"]?.array?.compactMap(\.string).first == "CUDA out of memory")
        recent.lastCrash = stored(
            3,
            .toolCrashed,
            ["tool": "whisper", "output": .array((1...9_999).map { JSONValue($0) })]
        )
        #expect(recent.crashOutput.isEmpty)
        recent.lastCrash = stored(
            3,
            .toolCrashed,
            ["tool": "whisper", "output": .array((1...9_999).map { JSONValue("line \($0)") })]
        )
        #expect(recent.crashOutput.count <= 201 && recent.crashOutput.last == "line 9999")
    }

    @Test(arguments: [1, 10, 24, 40, 80])
    func linesFitTheTerminal(width: Int) throws {
        for tool in [nil, "whisper"] {
            let detail = try detail(tool, recent: recent)
            let plain = StatusDetailFormatter(isColored: false, width: width).lines(detail)
            for line in plain { #expect(TextWidth.columns(of: line) <= width, "\(line)") }
            let colored = StatusDetailFormatter(isColored: true, width: width).lines(detail)
            #expect(colored.map { $0.replacing(/\u{1B}\[[0-9;]*m/, with: "") } == plain)
        }
    }

    @Test func longErrorsAreWholeAndWrapped() throws {
        let error =
            "cannot open /dev/video0: " + String(repeating: "word ", count: 40) + String(repeating: "x", count: 90)
        var facts = FactTable()
        facts.add("Error", error)
        let lines = facts.lines(isColored: false, width: 40)
        #expect(lines.allSatisfy { TextWidth.columns(of: $0) <= 40 } && lines.count > 5)
        let text = lines.map { $0.dropFirst(7) }.joined(separator: " ").filter { $0 != " " }
        #expect(text == error.filter { $0 != " " })
        #expect(TextWidth.wrapped("日本語 日本", to: 6) == ["日本語", "日本"])
        #expect(TextWidth.wrapped("", to: 6) == [""])
    }

    @Test func whatOthersWriteIsHarmless() throws {
        let evil = "a\u{1B}[2J\u{202E}\n" + String(repeating: "x", count: 100)
        let data = JSONValue(evil)
        var mesh = MeshState()
        let bad: [StoredEvent] = [
            stored(0, .nodeJoined, ["capabilities": ["version": data, "host": data, evil: data]], node: evil),
            stored(1, .toolCrashed, ["tool": data, "error": data, evil: data], node: evil),
            stored(
                2,
                .nodeHealth,
                [
                    "status": data,
                    "resources": [
                        "checks": [evil: data], "load": [1e300, -1e300], "cpu": 1e300, "mem_used_mb": 1e300,
                    ],
                ],
                node: evil
            ),
        ]
        for event in bad { mesh.apply(event) }
        mesh.advance(to: start.adding(.seconds(3)))
        let node = try #require(mesh.nodes.first)
        for tool in [nil, node.tools.first] {
            let subject = StatusSubject(node: node, tool: tool)
            let detail = StatusDetail(subject: subject, recent: RecentEvents(events: bad), now: mesh.now)
            for line in StatusDetailFormatter(isColored: false, width: 100).lines(detail) {
                #expect(!line.unicodeScalars.contains { $0.isHarmful }, "\(line)")
            }
            _ = try EventData(json: detail.json())
        }
    }

    @Test func theJSONHasEveryMemberAndTheEventsAsTheyAreListed() throws {
        let node = try EventData(json: detail(recent: recent).json())
        #expect(
            node.keys.sorted() == ["events", "node", "restarts", "restarts_last_hour", "time", "uptime_s"]
        )
        #expect(node["node"]?["name"]?.string == "pi" && node["node"]?["tools"]?.array?.count == 2)
        #expect(node["uptime_s"]?.double == 7_301 && node["restarts"]?.int == 1)
        #expect(node["restarts_last_hour"]?.int == 1)
        #expect(node["events"]?[1]?.json == (try EventJSON().line(recent.events[1])))
        let tool = try EventData(json: detail("whisper").json())
        #expect(tool["node"]?.json == #"{"name":"pi","status":"degraded"}"#)
        #expect(tool["tool"]?["name"]?.string == "whisper" && tool["uptime_s"]?.double == 97)
        #expect(tool["events"]?.isNull == true && tool["restarts_last_hour"]?.isNull == true)
        let part = try EventData(json: detail(recent: RecentEvents(isWholeHour: false)).json())
        #expect(part["restarts_last_hour"]?.isNull == true && part["events"]?.array?.isEmpty == true)
    }

    @Test func aRestartIsAStartAfterACrash() {
        func event(_ type: EventType, _ tool: String, _ more: EventData = .empty) -> StoredEvent {
            stored(
                0,
                type,
                EventData(JSONObject([("tool", .string(tool))] + more.members.map { ($0.key, $0.value.value) }))
            )
        }
        let (started, crashed, stopped) = (EventType.toolStarted, EventType.toolCrashed, EventType.toolStopped)
        let counts = RecentEvents.restarts([
            event(started, "a"), event(crashed, "a"), event(started, "a"), event(crashed, "a"), event(started, "a"),
            event(crashed, "a"),
            // Given up, and started on request.
            event(crashed, "b"), event(stopped, "b"), event(started, "b"),
            event(crashed, "go", ["error": "gave up after 3 retries"]), event(started, "go"),
            event(crashed, "c"), event(crashed, "d"), event(started, "c"), stored(0, crashed, nil),
        ])
        #expect(counts == ["a": 2, "c": 1])
    }

    @Test func eventsThatWereNotLookedForAreNotSaidToBeMissing() throws {
        func last(_ recent: RecentEvents?) throws -> String {
            StatusDetailFormatter(isColored: false, width: nil).lines(try detail(recent: recent)).last ?? ""
        }
        #expect(try last(nil) == "No stored events can be read.")
        #expect(try last(RecentEvents()).hasPrefix("No events about the node and its tools are stored"))
        #expect(
            try last(RecentEvents(isWhole: false)).contains(
                "among the newest of the mesh; `mesh-events list --node pi`"
            )
        )
        #expect(
            try last(RecentEvents(events: [events[4]], isWhole: false)).hasPrefix("Older events were not looked for")
        )
    }
}
