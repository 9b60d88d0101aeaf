import CoreMetrics
import Foundation
import MeshEvents
import MeshEventsTesting
import MeshMetrics
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@testable import MeshDashboard

/// `/metrics`, on the page and on an address of its own.
@Suite(.timeLimit(.minutes(2))) struct MetricsTests {
    private static let own = "a token for scrapers, long enough"

    private static func lines(_ client: HTTPClient, _ headers: [(String, String)] = []) async throws -> [String] {
        let answer = try await client.get("/metrics", headers)
        guard answer.status == 200 else { throw TestSupportError("\(answer.status): \(answer.text)") }
        return answer.text.split(separator: "\n").map(String.init)
    }

    // MARK: On the page

    @Test func thePageAnswersWhatIsKnownOfTheMesh() async throws {
        try await Bench.run(saved: InMemoryStateStore()) { bench in
            try await bench.bus.emit(NodeJoined(capabilities: ["version": "1", "interval_s": 60]))
            try await bench.bus.emit(ToolStarted(tool: "whisper"))
            try await eventually("the tool to be known") {
                try await Self.lines(bench.client).contains(
                    #"mesh_tool_state{node="attic",tool="whisper",state="running"} 1"#
                )
            }
            #expect(
                try await Self.lines(bench.client).contains(#"mesh_tool_crashes_total{node="attic",tool="whisper"} 0"#)
            )
            for count in 1...2 {
                try await bench.bus.emit(ToolCrashed(tool: "whisper", error: "exit status 1", restartCount: count))
            }
            for line in [
                #"mesh_tool_crashes_total{node="attic",tool="whisper"} 2"#,
                #"mesh_tool_state{node="attic",tool="whisper",state="backing_off"} 1"#,
                #"mesh_events_total{type="tool.crashed"} 2"#, #"mesh_node_up{node="attic"} 1"#, "mesh_state_known 1",
                "mesh_stream_up 1", #"mesh_stream_messages{stream="\#(bench.bus.configuration.streamName)"} 4"#,
                #"mesh_stream_lag{stream="\#(bench.bus.configuration.streamName)"} 0"#,
                #"mesh_stream_events{stream="\#(bench.bus.configuration.streamName)",type="tool.crashed"} 2"#,
                #"mesh_metrics_left_out{what="nodes"} 0"#,
            ] { try await eventually(line) { try await Self.lines(bench.client).contains(line) } }
        }
    }

    @Test func theFormatIsTheOneThatIsAskedFor() async throws {
        try await Bench.run { bench in
            let plain = try await bench.client.get("/metrics", [("accept", "*/*")])
            #expect(plain.headers.first(name: "content-type") == "text/plain; version=0.0.4; charset=utf-8")
            #expect(plain.text.contains("# TYPE mesh_nodes gauge\n") && !plain.text.contains("# EOF"))
            let open = try await bench.client.get(
                "/metrics",
                [("accept", "application/openmetrics-text;version=1.0.0")]
            )
            let type = "application/openmetrics-text; version=1.0.0; charset=utf-8"
            #expect(open.headers.first(name: "content-type") == type)
            #expect(open.text.hasSuffix("\n# EOF\n"))
            // Answers that share their bytes say so; those of another format are others.
            let tags = [plain, open].map { $0.headers.first(name: "etag") }
            #expect(tags[0] != nil && tags[1] != nil && tags[0] != tags[1])
            let head = try await bench.client.send(.HEAD, "/metrics")
            #expect(head.status == 200 && head.text.isEmpty)
        }
    }

    @Test func firingAlertsAreCountedByRuleAndSeverity() async throws {
        try await Bench.run(saved: InMemoryStateStore()) { bench in
            func alert(_ id: String, _ rule: String, _ severity: String) -> AlertFired {
                AlertFired(
                    alert: AlertDescription(
                        id: id,
                        rule: rule,
                        group: ["node": .string(id)],
                        severity: severity,
                        since: .now,
                        count: 1,
                        sequences: [1],
                        reason: "x"
                    )
                )
            }
            for (id, rule, severity) in [
                ("1", "tool-down", "critical"), ("2", "tool-down", "critical"), ("3", "disk-full", "warning"),
            ] { try await bench.bus.emit(alert(id, rule, severity)) }
            for line in [
                #"mesh_alerts_firing{severity="critical",rule="tool-down"} 2"#,
                #"mesh_alerts_firing{severity="warning",rule="disk-full"} 1"#, "mesh_alert_targets_failing 0",
            ] { try await eventually(line) { try await Self.lines(bench.client).contains(line) } }
            try await bench.bus.emit(AlertResolved(alert: alert("3", "disk-full", "warning").alert, at: .now))
            try await eventually("its end") {
                try await !Self.lines(bench.client).contains { $0.hasPrefix(#"mesh_alerts_firing{severity="warning""#) }
            }
        }
    }

    @Test func theMetricsOfTheProcessAreInIt() async throws {
        let registry = MetricRegistry()
        Counter(label: "my_requests", factory: registry).increment(by: 3)
        try await Bench.run(.init(metrics: .init(registry: registry))) { bench in
            #expect(try await Self.lines(bench.client).contains("my_requests_total 3"))
            // A name of the mesh's is not free.
            Gauge(label: "mesh_nodes", factory: registry).record(7)
            try await eventually("a name of its own") {
                try await Self.lines(bench.client).contains("mesh_nodes_gauge 7")
            }
        }
    }

    // MARK: Access

    @Test func metricsNeedWhatThePageNeedsOrATokenOfTheirOwn() async throws {
        @Sendable func bearer(_ token: String) -> [(String, String)] { [("authorization", "Bearer \(token)")] }
        @Sendable func check(
            _ bench: Bench,
            _ headers: [(String, String)],
            path: String = "/metrics",
            is status: UInt
        ) async throws {
            let answer = try await bench.client.get(path, headers)
            #expect(answer.status == status, "\(path) \(headers)")
        }
        try await Bench.run(.init(token: Bench.token)) { bench in
            try await check(bench, [], is: 401)
            try await check(bench, bearer(Self.own), is: 401)
            try await check(bench, bearer(Bench.token), is: 200)
        }
        try await Bench.run(.init(token: Bench.token, metricsToken: Self.own)) { bench in
            try await check(bench, [], is: 401)
            try await check(bench, bearer("wrong"), is: 401)
            try await check(bench, bearer(Bench.token), is: 200)
            try await check(bench, bearer(Self.own), is: 200)
            // Under any name, which a scraper may have for this machine.
            try await check(bench, bearer(Self.own) + [("host", "pi.lan:8080")], is: 200)
            try await check(bench, bearer(Bench.token) + [("host", "pi.lan:8080")], is: 421)
            // It opens nothing else.
            for path in ["/api/mesh", "/api/events", "/api/stream", "/api/logs", "/metrics/x"] {
                try await check(bench, bearer(Self.own), path: path, is: 401)
            }
            let json = [("content-type", "application/json")]
            let login = try await bench.client.send(.POST, "/api/session", json, body: #"{"token":"\#(Self.own)"}"#)
            #expect(login.status == 401)
        }
        // A page without a token does not open metrics that have one.
        try await Bench.run(.init(metricsToken: Self.own)) { bench in
            try await check(bench, [], is: 401)
            try await check(bench, bearer(Self.own), is: 200)
            try await check(bench, [], path: "/api/mesh", is: 200)
        }
        try await Bench.run { bench in
            try await check(bench, [], is: 200)
            try await check(bench, [("host", "evil.example")], is: 421)
            try await check(bench, [("sec-fetch-site", "cross-site")], is: 403)
        }
    }

    @Test func wrongTokensOfMetricsAreCountedAsOthersAre() async throws {
        try await Bench.run(.init(token: Bench.token, metricsToken: Self.own)) { bench in
            for _ in 0..<TokenGuesses.maximum {
                _ = try await bench.client.get("/metrics", [("authorization", "Bearer x")])
            }
            #expect(try await bench.client.get("/metrics", [("authorization", "Bearer x")]).status == 429)
            // The right one is always accepted.
            #expect(try await bench.client.get("/metrics", [("authorization", "Bearer \(Self.own)")]).status == 200)
        }
    }

    // MARK: On an address of its own

    /// Runs `body` with a server of the metrics of a mesh in memory, which reads by itself.
    private static func withServer(
        token: String? = nil,
        times: ConnectionTimer.Limits = .init(),
        _ body: @Sendable (PersistentEventBus, HTTPClient, MetricsServer) async throws -> Void
    ) async throws {
        let memory = try await MemoryBus.open()
        let source = MeshMetricsSource(store: memory.store, saved: InMemoryStateStore(), logger: quiet)
        let server = try MetricsServer(
            source,
            configuration: .init(port: 0, token: token),
            times: times,
            logger: quiet
        )
        let running = Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await source.run() }
                group.addTask { try await server.run() }
                try await group.next()
                group.cancelAll()
            }
        }
        defer { running.cancel() }
        let url = try await server.url()
        let port = try #require(url.firstMatch(of: #/:(\d+)/metrics$/#).flatMap { Int($0.1) })
        try await body(memory.bus, HTTPClient(port: port), server)
        running.cancel()
        _ = await running.result
    }

    @Test func aServerOfItsOwnAnswersMetricsAndNothingElse() async throws {
        try await Self.withServer { bus, client, _ in
            try await bus.emit(NodeJoined(capabilities: ["version": "1"]))
            try await bus.emit(ToolCrashed(tool: "whisper", error: "exit status 1", restartCount: 1))
            for line in [
                "mesh_state_known 1", #"mesh_node_up{node="attic"} 1"#, "mesh_stream_up 1",
                #"mesh_tool_state{node="attic",tool="whisper",state="backing_off"} 1"#,
            ] { try await eventually(line) { try await Self.lines(client).contains(line) } }
            // What is emitted once it follows the stream is counted.
            try await eventually("the event") {
                try await bus.emit("user.a", ["n": 1])
                return try await Self.lines(client).contains { $0.hasPrefix(#"mesh_events_total{type="user.a"} "#) }
            }
            for path in ["/", "/api/mesh", "/healthz", "/metrics/x", "/index.html"] {
                #expect(try await client.get(path).status == 404, "\(path)")
            }
            #expect(try await client.send(.POST, "/metrics", [("content-length", "0")]).status == 404)
            // The refusal says what to do at this server.
            let misdirected = try await client.get("/metrics", [("host", "evil.example")])
            #expect(misdirected.status == 421 && misdirected.text.contains("--metrics-token-file"))
            #expect(!misdirected.text.contains("--allow-host") && !misdirected.text.contains("dashboard"))
            let page = try await client.get("/metrics", [("sec-fetch-site", "cross-site")])
            #expect(page.status == 403 && !page.text.contains("dashboard"), "\(page.text)")
        }
        try await Self.withServer(token: Self.own) { _, client, _ in
            let refused = try await client.get("/metrics")
            let admitted = try await client.get("/metrics", [("authorization", "Bearer \(Self.own)")])
            #expect(refused.status == 401 && admitted.status == 200)
        }
    }

    @Test func anOpenDoorAndATokenThatCanBeGuessedAreRefused() throws {
        let source = MeshMetricsSource(store: InMemoryStore(), logger: quiet)
        for (host, token) in [("0.0.0.0", nil), ("::", nil), ("192.0.2.1", nil), ("127.0.0.1", "short")]
            as [(String, String?)]
        {
            let error = #expect(throws: MeshEventsError.self) {
                try MetricsServer(source, configuration: .init(host: host, token: token))
            }
            #expect(error?.code == .invalidArgument)
        }
        _ = try MetricsServer(source, configuration: .init(host: "0.0.0.0", token: Self.own))
        _ = try MetricsServer(source, configuration: .init(host: "::1"))
        #expect(throws: MeshEventsError.self) {
            try Dashboard(store: InMemoryStore(), configuration: .init(metricsToken: "short"))
        }
    }

    /// Scrapers that hang keep no other one waiting, and are closed.
    @Test func scrapersThatHangAreClosed() async throws {
        var times = ConnectionTimer.Limits()
        (times.head, times.idle, times.trustedIdle) = (.milliseconds(500), .milliseconds(500), .milliseconds(500))
        times.stall = .seconds(1)
        try await Self.withServer(times: times) { bus, client, server in
            for number in 0..<50 { try await bus.emit(Event("tool.started", data: ["tool": .string("t\(number)")])) }
            var held: [HeldConnection] = []
            for text in ["", "GET /metrics HTTP/1.1\r\n", "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"] {
                for _ in 0..<10 {
                    held.append(try await HeldConnection(port: client.port, sending: text, isReading: false))
                }
            }
            try await eventually("an answer beside them") {
                try await Self.lines(client).contains(#"mesh_tool_state{node="attic",tool="t7",state="running"} 1"#)
            }
            try await eventually("the end of their connections") { server.connectionCount == 0 }
            #expect(held.count == 30)
        }
    }

    // MARK: What the stream does

    @Test func aStreamThatDoesNotAnswerIsSaid() async throws {
        let store = SilentStore(InMemoryStore())
        let source = MeshMetricsSource(store: store, logger: quiet)
        let running = Task { await source.run() }
        defer { running.cancel() }
        try await eventually("the answer without it") { try await source.text(.text).contains("mesh_stream_up 0\n") }
        let text = try await source.text(.text)
        #expect(text.contains("mesh_state_known 0\n") && !text.contains("mesh_node_up"))
    }

    @Test func nothingOldIsSaidOfTheStreamAfterATimeWithoutQuestions() async throws {
        let memory = try await MemoryBus.open()
        let source = MeshMetricsSource(
            store: memory.store,
            feed: EventFeed(store: memory.store, verification: nil, configuration: .init(), logger: quiet) { _, _ in },
            mesh: MeshFollower(
                store: memory.store,
                saved: nil,
                verification: nil,
                maximumBytes: MeshDigest.maximumBytes,
                logger: quiet,
                onProblem: { _ in }
            ),
            alerts: nil,
            counts: EventCounts(takesSignedOnly: false),
            configuration: .init(),
            patience: .milliseconds(100),
            logger: quiet
        )
        let running = Task { await source.watch() }
        defer { running.cancel() }
        let messages = #"mesh_stream_messages{stream="\#(memory.bus.configuration.streamName)"}"#
        try await eventually("a look") { try await source.text(.text).contains("\(messages) 0\n") }
        try await memory.bus.emit("user.a", ["n": 1])
        // Longer than it looks without a question, and than an answer is used again.
        try await Task.sleep(for: .milliseconds(1_500))
        #expect(try await !source.text(.text).contains("\(messages) 0\n"))
        try await eventually("a look of now") { try await source.text(.text).contains("\(messages) 1\n") }
    }

    @Test func ofConsumersWhoseNamesAreTheSameWhenTheyAreCutOneIsCounted() {
        let long = String(repeating: "x", count: 500)
        let consumers = ["a", long + "1", long + "2"].map { name in
            StreamReport.Consumer(
                name: name,
                isDurable: true,
                filters: [],
                pending: 1,
                unacknowledged: 0,
                redelivered: 0
            )
        }
        let report = StreamReport(
            state: StreamState(name: "S", messages: 0, bytes: 0, firstSequence: 1, lastSequence: 0, created: nil),
            configuration: .init(),
            firstTime: nil,
            lastTime: nil,
            subjects: [:],
            consumers: consumers
        )
        let reading = StreamReading(report, position: nil)
        #expect(reading.consumers.map(\.name) == ["a", long + "1"] && reading.otherConsumers == 1)
    }

    @Test func whatALoginMayNotAskForIsMissing() async throws {
        let memory = try await MemoryBus.open()
        try await memory.bus.emit("user.a", ["n": 1])
        let whole = try await StreamReading.read(memory.store) { nil }
        #expect(whole.state.messages == 1 && whole.types != nil && whole.times != nil && whole.position == nil)
        let reading = try await StreamReading.read(SecretiveStore(memory.store)) { 1 }
        #expect(reading.state.messages == 1 && reading.types == nil && reading.times == nil && reading.position == 1)
    }

    // MARK: Documents

    /// The metrics that rules, the dashboard and the guide are about exist, and the guide has all of them.
    @Test func everyMetricThatIsWrittenAboutExists() throws {
        var names: Set<String> = ["mesh_metrics_summed_total", "mesh_metrics_lost_total"]
        for family in MeshFamilies.all {
            switch family.kind {
            case .counter: names.insert(family.name + "_total")
            case .info: names.insert(family.name + "_info")
            case .gauge, .histogram: names.insert(family.name)
            }
        }
        let ofMesh = names
        names.formUnion(EventMetric.allCases.map(\.rawValue))
        func text(_ path: String) throws -> String {
            try String(contentsOfFile: NATSServers.packageDirectory + "/" + path, encoding: .utf8)
        }
        let guide = try text("Sources/MeshEvents/MeshEvents.docc/Metrics.md")
        for name in ofMesh { #expect(guide.contains("`\(name)`"), "\(name)") }
        for path in [
            "Packaging/prometheus/mesh-events.rules.yml", "Packaging/prometheus/mesh-events.rules.test.yml",
            "Packaging/grafana/mesh-events.json",
        ] {
            let found = try text(path).matches(of: #/\bmesh_[a-z0-9_]+/#).map { String($0.output) }
            #expect(!found.isEmpty)
            for name in Set(found) {
                let plain = name.hasSuffix("_bucket") ? String(name.dropLast("_bucket".count)) : name
                #expect(names.contains(plain), "\(path): \(name)")
            }
        }
        // The guide shows them as they are shipped.
        let rules = try text("Packaging/prometheus/mesh-events.rules.yml")
        for match in rules.matches(of: #/- alert: (\w+)/#) { #expect(guide.contains("`\(match.1)`"), "\(match.1)") }
        let dashboard = try EventData(json: try text("Packaging/grafana/mesh-events.json"))
        #expect(dashboard["uid"]?.string == "mesh-events")
    }
}

/// A store that reports to no client.
private final class SecretiveStore: ForwardingStore, StreamAdministration {
    let store: InMemoryStore

    init(_ store: InMemoryStore) { self.store = store }

    func report() async throws(MeshEventsError) -> StreamReport {
        throw MeshEventsError(.permissionDenied, "this login may not list the subscriptions")
    }
}

/// A store whose stream does not answer.
private final class SilentStore: ForwardingStore {
    let store: InMemoryStore

    init(_ store: InMemoryStore) { self.store = store }

    private static let silence = MeshEventsError(.timeout, "the stream does not answer", isRetriable: true)

    func state() async throws(MeshEventsError) -> StreamState { throw Self.silence }
}
