import Foundation
import LocalNATSServer
import MeshEvents
import ProcessGuard
import TestSupport
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Prometheus on the other side: `Scripts/setup.sh test` installs it.
@Suite(.timeLimit(.minutes(4))) struct PrometheusTests {
    private static let binaries = NATSServers.packageDirectory + "/.tools/prometheus/usr/bin"
    private static let rules = NATSServers.packageDirectory + "/Packaging/prometheus/mesh-events.rules.yml"
    private static let token = "a token for tests, long enough"

    /// The path of `promtool` or `prometheus`.
    private static func binary(_ name: String) throws -> String {
        let path = binaries + "/" + name
        guard TemporaryDirectory.exists(path) else {
            throw TestSupportError("There is no \(path): run `Scripts/setup.sh test`.")
        }
        return path
    }

    private static func get(
        _ url: String,
        token: String? = nil,
        accept: String = "*/*"
    ) async throws -> (status: Int, text: String) {
        guard let url = URL(string: url) else { throw TestSupportError("\(url) is no URL") }
        var request = URLRequest(url: url, timeoutInterval: 30)
        request.setValue(accept, forHTTPHeaderField: "Accept")
        if let token { request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization") }
        let (data, response) = try await URLSession.shared.data(for: request)
        return ((response as? HTTPURLResponse)?.statusCode ?? 0, String(decoding: data, as: UTF8.self))
    }

    /// A node with its own server, with metrics behind a token, and two tools: one crashes again and again.
    private final class Node {
        let directory: TemporaryDirectory
        let tokenFile: String
        let serve: Command
        let url: String

        init(_ arguments: [String] = []) async throws {
            directory = try TemporaryDirectory()
            tokenFile = try directory.file("token", PrometheusTests.token, mode: 0o600)
            let manifest = try directory.file(
                "mesh.yaml",
                """
                node: pi
                health: {interval: 1s}
                tools:
                  - name: whisper
                    version: "1.4"
                    command: [sleep, "600"]
                  - name: sync
                    version: "1"
                    command: [sh, -c, "sleep 0.2; exit 3"]
                    restart: {policy: always, max: 1000, delay: 1s, max_delay: 1s}
                """
            )
            serve = try Command(
                [
                    "serve", "--config", manifest, "--port", "0", "--metrics", "127.0.0.1:0", "--metrics-token-file",
                    tokenFile,
                ]
                    + arguments,
                environment: ["MESH_EVENTS_NATS_SERVER": NATSServers.first.path]
            )
            try await serve.waitForError("the metrics are at")
            url = String(try #require(serve.error.firstMatch(of: #/the metrics are at (http://\S+/metrics)/#)).1)
        }

        func metrics(accept: String = "*/*") async throws -> String {
            let answer = try await PrometheusTests.get(url, token: PrometheusTests.token, accept: accept)
            guard answer.status == 200 else { throw TestSupportError("\(answer.status): \(answer.text)") }
            return answer.text
        }

        func end() async throws {
            serve.signal(SIGTERM)
            #expect(try await serve.wait().code == 0)
            #expect(serve.output.contains("node.left"))
        }
    }

    // MARK: promtool

    @Test func theRulesHoldWhatTheirTestsSay() throws {
        let promtool = try Self.binary("promtool")
        let directory = Self.rules.dropLast("mesh-events.rules.yml".count)
        for arguments in [
            ["check", "rules", Self.rules], ["check", "config", "\(directory)prometheus.yml"],
            ["test", "rules", "\(directory)mesh-events.rules.test.yml"],
        ] {
            let outcome = try SpawnedProcess.outcome(of: promtool, arguments)
            #expect(outcome.code == 0, "\(arguments): \(outcome)")
        }
    }

    @Test func promtoolFindsNothingWrong() async throws {
        let promtool = try Self.binary("promtool")
        let node = try await Node()
        // Of everything something; the metrics of the bus come once a second.
        for part in [
            "mesh_tool_cpu_cores{", "mesh_stream_up 1", "mesh_events_acknowledged_total{", "mesh_events_total{",
            "mesh_tool_crashes_total{", "mesh_node_memory_used_bytes{",
        ] {
            try await eventually(part) { try await node.metrics().contains(part) }
        }
        let directory = try TemporaryDirectory()
        let file = try directory.file("metrics", try await node.metrics())
        let shell = "exec '\(promtool)' check metrics < '\(file)' 2>&1"
        let outcome = try SpawnedProcess.outcome(of: "/bin/sh", ["-c", shell])
        #expect(outcome.code == 0, "\(outcome)")
        #expect(try await Self.get(node.url).status == 401)
        #expect(try await node.metrics(accept: "application/openmetrics-text").hasSuffix("\n# EOF\n"))
        try await node.end()
    }

    // MARK: A real scrape

    /// Runs `body` with a Prometheus that asks a node for its metrics once a second, with the shipped rules.
    private func withPrometheus(
        asking node: Node,
        _ body: (_ port: Int, _ process: SupervisedProcess) async throws -> Void
    ) async throws {
        let binary = try Self.binary("prometheus")
        let directory = try TemporaryDirectory()
        let address = try #require(node.url.firstMatch(of: #/http://([^/]+)//#)).1
        let file = try directory.file(
            "prometheus.yml",
            """
            global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
            rule_files: ["\(Self.rules)"]
            scrape_configs:
              - job_name: mesh-events
                authorization: {credentials_file: "\(node.tokenFile)"}
                static_configs: [{targets: ["\(address)"]}]
            """
        )
        let port = try freePorts(1)[0]
        let process = try await SupervisedProcess.launch(
            .init(
                executable: binary,
                arguments: [
                    "--config.file=\(file)", "--storage.tsdb.path=\(directory.path)/data",
                    "--web.listen-address=127.0.0.1:\(port)",
                ]
            ),
            appendingTo: directory.path + "/log"
        )
        do {
            try await eventually("Prometheus to be ready") {
                if process.end != nil { throw TestSupportError("It ended: \(try directory.text(of: "log"))") }
                return (try? await Self.get("http://127.0.0.1:\(port)/-/ready").status) == 200
            }
            try await body(port, process)
        } catch {
            process.kill()
            _ = await process.waitForEnd()
            throw error
        }
        process.kill()
        _ = await process.waitForEnd()
    }

    /// What Prometheus answers to a request of its API.
    private func ask(_ port: Int, _ path: String) async throws -> JSONValue {
        let answer = try await Self.get("http://127.0.0.1:\(port)/api/v1/\(path)")
        guard answer.status == 200 else { throw TestSupportError("\(path): \(answer)") }
        return try EventData(json: answer.text).value["data"] ?? .null
    }

    @Test func prometheusScrapesANodeAndARuleFiresOnACrash() async throws {
        let node = try await Node()
        try await withPrometheus(asking: node) { port, _ in
            try await eventually("a scrape") {
                let target = try await ask(port, "targets")["activeTargets"]?[0]
                #expect(target?["lastError"]?.string ?? "" == "")
                return target?["health"]?.string == "up"
            }
            try await eventually("the tool") {
                let query = #"query?query=mesh_tool_state%7Btool%3D%22whisper%22%2Cstate%3D%22running%22%7D%3D%3D1"#
                return try await ask(port, query)["result"]?[0]?["metric"]?["node"]?.string == "pi"
            }
            try await eventually("the alert about the crash") {
                try await ask(port, "alerts")["alerts"]?.array?.contains { alert in
                    alert["labels"]?["alertname"]?.string == "MeshToolCrashed" && alert["state"]?.string == "firing"
                        && alert["labels"]?["tool"]?.string == "sync" && alert["labels"]?["node"]?.string == "pi"
                } == true
            }
            let alerts = try await ask(port, "alerts")["alerts"]?.array ?? []
            #expect(!alerts.contains { $0["labels"]?["tool"]?.string == "whisper" })
            // As Prometheus has them: of each metric its type and its help.
            let metadata = try await ask(port, "metadata?metric=mesh_tool_crashes_total")["mesh_tool_crashes_total"]?[0]
            let ofFamily = try await ask(port, "metadata?metric=mesh_tool_crashes")["mesh_tool_crashes"]?[0]
            #expect((metadata ?? ofFamily)?["type"]?.string == "counter")
        }
        try await node.end()
    }

    /// A Prometheus that hangs, or is away, is nothing to the node.
    @Test func aPrometheusThatHangsHoldsNothingUp() async throws {
        let node = try await Node()
        try await withPrometheus(asking: node) { port, process in
            try await eventually("a scrape") {
                try await ask(port, "targets")["activeTargets"]?[0]?["health"]?.string == "up"
            }
            kill(process.pid, SIGSTOP)
            defer { kill(process.pid, SIGCONT) }
            func healths() -> Int { node.serve.output.ranges(of: "node.health").count }
            func crashes() -> Int { node.serve.output.ranges(of: "tool.crashed").count }
            let before = (healths(), crashes())
            // It goes on telling its health, restarts its tools, and answers others.
            try await eventually("health events", reaches: before.0 + 5) { healths() }
            try await eventually("crashes", reaches: before.1 + 2) { crashes() }
            #expect(try await node.metrics().contains("mesh_state_known 1\n"))
            // And leaves when it is told to.
            try await node.end()
        }
    }

    // MARK: Options

    @Test func whatWouldBeOpenToOthersIsRefused() async throws {
        let directory = try TemporaryDirectory()
        let readable = try directory.file("token", Self.token, mode: 0o644)
        try await withServer { server in
            for (arguments, reason) in [
                (["serve", "--metrics", "0.0.0.0:0"], "give them a token"),
                (["dashboard", "--listen", "127.0.0.1:0", "--metrics", "0.0.0.0:0"], "give them a token"),
                (["serve", "--metrics", "9464"], "an address and a port"),
                (["serve", "--metrics-token-file", readable], "give --metrics or --dashboard too"),
                (["serve", "--metrics-series", "1000"], "give --metrics or --dashboard too"),
                (["serve", "--metrics", "127.0.0.1:0", "--metrics-series", "5"], "from 100 to 1000000"),
                (["serve", "--metrics", "127.0.0.1:0", "--metrics-token-file", readable], "chmod 600"),
            ] {
                let outcome = try await Command.run(arguments + ["--nats", server.url])
                #expect(outcome.code == 64 && outcome.error.contains(reason), "\(arguments): \(outcome.error)")
            }
            let short = try await Command.run(
                ["serve", "--metrics", "127.0.0.1:0", "--nats", server.url],
                environment: ["MESH_EVENTS_METRICS_TOKEN": "short"]
            )
            #expect(short.code == 64 && short.error.contains("can be guessed"), "\(short.error)")
            let port = server.url.split(separator: ":").last ?? ""
            let taken = try await Command.run(["serve", "--metrics", "127.0.0.1:\(port)", "--nats", server.url])
            #expect(taken.code == 64 && taken.error.contains("cannot listen on 127.0.0.1:\(port)"), "\(taken.error)")
        }
    }

    @Test func thePageAnswersOnBothItsOwnAddressAndAnother() async throws {
        try await withServer { server in
            let dashboard = try Command(
                ["dashboard", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--nats", server.url],
                environment: ["MESH_EVENTS_DASHBOARD_TOKEN": Self.token]
            )
            try await dashboard.waitForError("the dashboard is at")
            try await dashboard.waitForError("the metrics are at")
            let page = String(try #require(dashboard.error.firstMatch(of: #/dashboard is at (http://\S+\d)/#)).1)
            let own = String(try #require(dashboard.error.firstMatch(of: #/metrics are at (http://\S+/metrics)/#)).1)
            #expect(try await Self.get(page + "/metrics").status == 401)
            let series = "mesh_metrics_series "
            #expect(try await Self.get(page + "/metrics", token: Self.token).text.contains(series))
            #expect(try await Self.get(own).text.contains(series))
            dashboard.signal(SIGTERM)
            #expect(try await dashboard.wait().code == 0)
        }
    }
}
