import MeshEvents
import MeshMetrics
import MeshMonitoring
import TestSupport
import Testing

@testable import MeshDashboard

/// What is known of a mesh as series.
@Suite struct MeshSeriesTests {
    private static func lines(
        _ state: MeshState,
        crashes: [EventCounts.Tool: UInt64] = [:],
        maximum: Int = 10_000
    ) async -> (lines: [String], leftOut: MeshSeries.LeftOut, exposition: Exposition) {
        var exposition = Exposition(.text, maximumSeries: maximum)
        var series = MeshSeries(state, crashes: crashes)
        await series.write(into: &exposition)
        let lines = String(decoding: exposition.text, as: UTF8.self).split(separator: "\n").map(String.init)
        return (lines, series.leftOut, exposition)
    }

    /// The names of the samples with their labels.
    private static func series(_ lines: [String]) -> [Substring] {
        lines.filter { !$0.hasPrefix("#") }.map { $0[..<($0.lastIndex(of: " ") ?? $0.endIndex)] }
    }

    /// A state at the second 1 000 000, with a node `pi` of which everything is known.
    private func sample() throws -> MeshState {
        var state = MeshState()
        let now = Timestamp(nanosecondsSinceEpoch: 1_000_000 * 1_000_000_000)
        state.advance(to: now)
        func apply(_ event: Event) { state.apply(event, receivedAt: now) }
        apply(
            Event(
                .nodeJoined,
                node: "pi",
                timestamp: now,
                data: ["capabilities": ["version": "0.2", "os": "linux", "arch": "arm64", "interval_s": 60]]
            )
        )
        let usage = ProcessUsage(
            cpu: 1.5,
            memoryMB: 2,
            processes: 3,
            threads: 4,
            files: 5,
            readMB: 6,
            writtenMB: 0.5,
            gpus: [.init(index: 1, memoryMB: 1_024), .init(index: 1, memoryMB: 1)]
        )
        let health = NodeHealth(
            status: "degraded",
            resources: [
                "interval_s": 60, "cpu": 0.25, "load": [0.5, 1, 2, 9], "mem_used_mb": 512, "mem_total_mb": 1_024,
                "disk_free_mb": 2_048, "checks": ["disk": "full"],
                "gpus": [
                    ["index": 0, "name": "RTX \"4090\"", "use": 0.5, "mem_used_mb": 1, "temp_c": 40.5, "power_w": 90]
                ],
            ],
            tools: [
                .init(name: "whisper", version: "1.4", state: .running, since: now, restarts: 2, usage: usage),
                .init(name: "ill", version: "1", state: .running, health: NodeHealth.Tool.unhealthy),
                .init(name: "sync", version: "1", state: .failed, since: now, restarts: 5, error: "exit status 1"),
            ]
        )
        apply(Event(.nodeHealth, node: "pi", timestamp: now, data: try health.eventData()))
        return state
    }

    @Test func everythingThatIsKnownHasASeries() async throws {
        let lines = await Self.lines(
            try sample(),
            crashes: [.init(node: "pi", name: "sync"): 7, .init(node: "attic", name: "sync"): 9]
        ).lines
        for line in [
            #"mesh_nodes{status="degraded"} 1"#, #"mesh_nodes{status="online"} 0"#, #"mesh_tools{state="running"} 2"#,
            #"mesh_tools{state="failed"} 1"#, #"mesh_node_up{node="pi"} 1"#,
            #"mesh_node_status{node="pi",status="degraded"} 1"#, #"mesh_node_status{node="pi",status="online"} 0"#,
            #"mesh_node_info{node="pi",version="0.2",os="linux",arch="arm64"} 1"#,
            #"mesh_node_maintenance{node="pi"} 0"#, #"mesh_node_check_failing{node="pi",check="disk"} 1"#,
            #"mesh_node_last_seen_timestamp_seconds{node="pi"} 1000000"#,
            #"mesh_node_joined_timestamp_seconds{node="pi"} 1000000"#,
            #"mesh_node_cpu_ratio{node="pi"} 0.25"#, #"mesh_node_load{node="pi",minutes="1"} 0.5"#,
            #"mesh_node_load{node="pi",minutes="15"} 2"#, #"mesh_node_memory_used_bytes{node="pi"} 536870912"#,
            #"mesh_node_memory_size_bytes{node="pi"} 1073741824"#, #"mesh_node_disk_free_bytes{node="pi"} 2147483648"#,
            #"mesh_node_gpu_use_ratio{node="pi",gpu="0"} 0.5"#,
            #"mesh_node_gpu_temperature_celsius{node="pi",gpu="0"} 40.5"#,
            #"mesh_node_gpu_info{node="pi",gpu="0",name="RTX \"4090\""} 1"#,
            #"mesh_tool_state{node="pi",tool="whisper",state="running"} 1"#,
            #"mesh_tool_state{node="pi",tool="whisper",state="failed"} 0"#,
            #"mesh_tool_state{node="pi",tool="whisper",state="unknown"} 0"#,
            #"mesh_tool_state{node="pi",tool="sync",state="failed"} 1"#,
            #"mesh_tool_ready{node="pi",tool="whisper"} 1"#, #"mesh_tool_healthy{node="pi",tool="whisper"} 1"#,
            #"mesh_tool_ready{node="pi",tool="ill"} 0"#, #"mesh_tool_healthy{node="pi",tool="ill"} 0"#,
            #"mesh_tool_ready{node="pi",tool="sync"} 0"#,
            #"mesh_tool_info{node="pi",tool="whisper",version="1.4"} 1"#,
            #"mesh_tool_restarts_total{node="pi",tool="whisper"} 2"#,
            #"mesh_tool_crashes_total{node="pi",tool="whisper"} 0"#,
            #"mesh_tool_crashes_total{node="pi",tool="sync"} 7"#,
            #"mesh_tool_last_crash_timestamp_seconds{node="pi",tool="sync"} 1000000"#,
            #"mesh_tool_state_timestamp_seconds{node="pi",tool="sync"} 1000000"#,
            #"mesh_tool_cpu_cores{node="pi",tool="whisper"} 1.5"#,
            #"mesh_tool_memory_bytes{node="pi",tool="whisper"} 2097152"#,
            #"mesh_tool_processes{node="pi",tool="whisper"} 3"#, #"mesh_tool_threads{node="pi",tool="whisper"} 4"#,
            #"mesh_tool_open_files{node="pi",tool="whisper"} 5"#,
            #"mesh_tool_read_bytes_total{node="pi",tool="whisper"} 6291456"#,
            #"mesh_tool_written_bytes_total{node="pi",tool="whisper"} 524288"#,
            #"mesh_tool_gpu_memory_bytes{node="pi",tool="whisper",gpu="1"} 1073741824"#,
        ] { #expect(lines.contains(line), "\(line)") }
        #expect(!lines.contains { $0.hasPrefix("mesh_tool_healthy") && $0.contains("sync") })
        // Each series is there once.
        let series = Self.series(lines)
        #expect(Set(series).count == series.count)
    }

    @Test func ofANodeThatIsSilentOnlyThatIsSaid() async throws {
        var state = try sample()
        state.advance(to: state.now.adding(.seconds(3_600)))
        let lines = await Self.lines(state).lines
        for line in [
            #"mesh_node_up{node="pi"} 0"#, #"mesh_node_status{node="pi",status="unreachable"} 1"#,
            #"mesh_tools{state="unknown"} 3"#, #"mesh_tool_state{node="pi",tool="sync",state="unknown"} 1"#,
            #"mesh_tool_state{node="pi",tool="sync",state="failed"} 0"#,
        ] { #expect(lines.contains(line), "\(line)") }
        for name in ["mesh_node_cpu_ratio", "mesh_tool_memory_bytes", "mesh_tool_healthy", "mesh_tool_ready"] {
            #expect(!lines.contains { $0.hasPrefix(name) }, "\(name)")
        }
    }

    // MARK: Strangers

    @Test func namesThatAreTheSameWhenTheyAreCutAreLeftOut() async {
        var state = MeshState()
        let long = String(repeating: "x", count: 300)
        for name in [long + "1", long + "2", "a\u{0}", "a\u{1}"] {
            for tool in [long + "1", long + "2"] {
                state.apply(Event("tool.started", node: name, data: ["tool": .string(tool)]))
            }
        }
        let found = await Self.lines(state)
        #expect(found.leftOut == MeshSeries.LeftOut(nodes: 2, tools: 4 + 2))
        let up = found.lines.filter { $0.hasPrefix("mesh_node_up") }
        #expect(up.count == 2 && up.allSatisfy { $0.utf8.count < 200 })
        let series = Self.series(found.lines)
        #expect(Set(series).count == series.count)
    }

    @Test func absurdFiguresAreLeftOut() async {
        var state = MeshState()
        state.apply(
            Event(
                "node.health",
                node: "pi",
                data: [
                    "status": "online",
                    "resources": [
                        "cpu": 1e300, "load": ["x", 1], "mem_used_mb": "much", "disk_free_mb": [1],
                        "gpus": [["index": 3, "use": 1], ["index": 3, "use": 2], 7],
                    ],
                ]
            )
        )
        let lines = await Self.lines(state).lines
        for name in ["mesh_node_cpu_ratio", "mesh_node_memory", "mesh_node_disk"] {
            #expect(!lines.contains { $0.hasPrefix(name) }, "\(name)")
        }
        let gpus = lines.filter { $0.hasPrefix("mesh_node_gpu_use_ratio") }
        #expect(gpus == [#"mesh_node_gpu_use_ratio{node="pi",gpu="3"} 1"#])
    }

    // MARK: Bounds

    @Test func aLargeMeshIsCutToItsBoundAndTheRestIsCounted() async throws {
        var state = MeshState()
        let now = Timestamp.now
        state.advance(to: now)
        for number in 100..<400 {
            let tools = (0..<10).map { NodeHealth.Tool(name: "t\($0)", version: "1", state: .running) }
            let health = NodeHealth(status: "online", resources: ["interval_s": 60], tools: tools)
            state.apply(
                Event(.nodeHealth, node: "n\(number)", timestamp: now, data: try health.eventData()),
                receivedAt: now
            )
        }
        let ill = NodeHealth(
            status: "online",
            resources: ["interval_s": 60],
            tools: [
                .init(name: "well", version: "1", state: .running), .init(name: "ill", version: "1", state: .failed),
            ]
        )
        state.apply(Event(.nodeHealth, node: "z", timestamp: now, data: try ill.eventData()), receivedAt: now)
        let (lines, leftOut, exposition) = await Self.lines(state, maximum: 2_000)
        #expect(exposition.series <= 2_000 + 15 && exposition.series > 1_900)
        // The counts are of all.
        #expect(lines.contains(#"mesh_nodes{status="online"} 301"#))
        #expect(lines.contains(#"mesh_tools{state="running"} 3001"#))
        // Of each node it is said whether it is up; and first comes what is in trouble, wherever its name is.
        let up = lines.filter { $0.hasPrefix("mesh_node_up") }
        #expect(up.count == 301)
        #expect(lines.contains(#"mesh_tool_state{node="z",tool="ill",state="failed"} 1"#))
        let nodes = lines.count { $0.hasPrefix("mesh_node_maintenance") }
        let tools = lines.count { $0.hasPrefix("mesh_tool_restarts_total") }
        #expect(nodes > 10 && leftOut.nodes == 301 - nodes)
        #expect(tools > 50 && leftOut.tools == 3_002 - tools)

        let least = await Self.lines(state, maximum: 100)
        let leastUp = least.lines.filter { $0.hasPrefix("mesh_node_up") }
        #expect(leastUp.count == 43)
        #expect(least.lines.contains(#"mesh_tool_state{node="z",tool="ill",state="failed"} 1"#))
    }

    @Test func ofAStreamItsLagItsAgeAndItsSubscriptionsAreSaid() {
        let now = Timestamp(nanosecondsSinceEpoch: 1_000_000 * 1_000_000_000)
        func consumer(_ name: String, isDurable: Bool = true) -> StreamReport.Consumer {
            .init(name: name, isDurable: isDurable, filters: [], pending: 7, unacknowledged: 3, redelivered: 1)
        }
        let report = StreamReport(
            state: StreamState(name: "EVENTS", messages: 5, bytes: 900, firstSequence: 6, lastSequence: 10),
            configuration: .init(),
            firstTime: now.subtracting(.seconds(60)),
            lastTime: now.subtracting(.seconds(1)),
            subjects: ["events.user.a": 3, "events.node.health": 2],
            consumers: [consumer("x", isDurable: false)] + (0..<250).map { consumer("d\(1_000 + $0)") }
        )
        let reading = StreamReading(report, position: 8)
        var exposition = Exposition(.text, maximumSeries: 1_000)
        StreamSeries.write(reading, now: now, into: &exposition)
        let lines = String(decoding: exposition.text, as: UTF8.self).split(separator: "\n").map(String.init)
        for line in [
            "mesh_stream_up 1", #"mesh_stream_messages{stream="EVENTS"} 5"#,
            #"mesh_stream_size_bytes{stream="EVENTS"} 900"#,
            #"mesh_stream_first_sequence{stream="EVENTS"} 6"#, #"mesh_stream_last_sequence{stream="EVENTS"} 10"#,
            #"mesh_stream_lag{stream="EVENTS"} 2"#, #"mesh_stream_age_seconds{stream="EVENTS"} 60"#,
            #"mesh_stream_newest_timestamp_seconds{stream="EVENTS"} 999999"#,
            #"mesh_stream_events{stream="EVENTS",type="user.a"} 3"#,
            #"mesh_consumer_pending{stream="EVENTS",consumer="d1000"} 7"#,
            #"mesh_consumer_unacknowledged{stream="EVENTS",consumer="d1000"} 3"#,
            #"mesh_consumer_redelivered{stream="EVENTS",consumer="d1199"} 1"#,
        ] { #expect(lines.contains(line), "\(line)") }
        let pending = lines.filter { $0.hasPrefix("mesh_consumer_pending") }
        #expect(pending.count == StreamReading.maximumConsumers && reading.otherConsumers == 50)
        // One that is ahead of what the server says has no lag.
        var ahead = Exposition(.text, maximumSeries: 1_000)
        StreamSeries.write(StreamReading(report.state, position: 20), now: now, into: &ahead)
        #expect(String(decoding: ahead.text, as: UTF8.self).contains("mesh_stream_lag{stream=\"EVENTS\"} 0\n"))
    }

    @Test func eventsAreCountedByTypeWithinABound() {
        let counts = EventCounts(takesSignedOnly: false)
        for number in 0..<300 { counts.take(Event(EventType(stringLiteral: "user.t\(number)"), node: "n")) }
        for _ in 0..<2 { counts.take(Event("user.t0", node: "n")) }
        #expect(counts.counts.types.count == EventCounts.maximumTypes && counts.counts.types["user.t0"] == 3)
        #expect(counts.counts.ofOtherTypes == 100)
        for number in 0..<EventCounts.maximumTools + 10 {
            counts.take(Event("tool.crashed", node: "n", data: ["tool": .string("t\(number)")]))
        }
        #expect(counts.counts.crashes.count == EventCounts.maximumTools && counts.counts.ofOtherTools == 10)
        #expect(counts.counts.crashes[.init(node: "n", name: "t5")] == 1)
    }

    @Test func whereSignaturesCountACrashThatIsNotSignedIsNone() {
        let counts = EventCounts(takesSignedOnly: true)
        counts.take(Event("tool.crashed", node: "n", data: ["tool": "t"]))
        #expect(counts.counts.crashes.isEmpty && counts.counts.types.isEmpty == false)
    }

    @Test func typesBeyondTheBoundAreSummed() {
        var exposition = Exposition(.text, maximumSeries: 1_000)
        let numbered = (0..<250).map { (type: "t\(1_000 + $0)", count: UInt64(1_000 - $0)) }
        let types = TypeCounts(numbered + [(type: "other", count: 5_000)], others: 2)
        types.write(to: MeshFamilies.events, into: &exposition)
        let lines = String(decoding: exposition.text, as: UTF8.self).split(separator: "\n").filter {
            !$0.hasPrefix("#")
        }
        #expect(types.otherTypes == 51 && lines.count == TypeCounts.maximum)
        #expect(lines.contains(#"mesh_events_total{type="t1000"} 1000"#))
        // A type of that name is counted with the others.
        let rest = (199..<250).reduce(0) { $0 + 1_000 - $1 } + 5_002
        #expect(lines.contains(#"mesh_events_total{type="other"} \#(rest)"#[...]))
    }
}
