import MeshSupervision
import Testing

@Suite("Whether a tool works, in mesh.yaml")
struct ManifestHealthTests {
    private static let head = "tools:\n  - name: a\n    version: v1\n    command: [a]\n"

    private func health(_ lines: String, variables: [String: String] = [:]) throws -> ToolHealth {
        let text = Self.head + lines.split(separator: "\n").map { "    \($0)\n" }.joined()
        return try #require(ToolManifest.parse(text, file: "/m/mesh.yaml", variables: variables).tools.first).health
    }

    private func mistakes(_ lines: String, variables: [String: String] = [:]) -> [String] {
        do {
            _ = try health(lines, variables: variables)
            return []
        } catch {
            return (error as? ManifestError)?.problems.map(\.description) ?? ["\(error)"]
        }
    }

    @Test("each form, and what is left out")
    func forms() throws {
        #expect(try health("") == ToolHealth())
        let http = ToolProbe(.http("http://127.0.0.1:9000/healthz"))
        #expect(try health("health: {http: \"http://127.0.0.1:9000/healthz\"}").check == http)
        let all = try health(
            """
            health: {http: "http://127.0.0.1:9000/healthz", every: 5s, timeout: 500ms, failures: 2}
            ready: {tcp: "[::1]:9000", every: 2s, timeout: 1s, within: 5m}
            watchdog: 30s
            on_unhealthy: nothing
            """
        )
        #expect(
            all
                == ToolHealth(
                    check: ToolProbe(http.target, every: .seconds(5), timeout: .milliseconds(500), failures: 2),
                    readiness: .probed(
                        ToolProbe(.tcp("[::1]:9000"), every: .seconds(2), timeout: .seconds(1))
                    ),
                    readyWithin: .seconds(300),
                    watchdog: .seconds(30),
                    onUnhealthy: .nothing
                )
        )
        #expect(try health("ready: notify") == ToolHealth(readiness: .notified))
        let later = try health("ready: {notify: true, within: 10m}\non_unhealthy: restart")
        #expect(later == ToolHealth(readiness: .notified, readyWithin: .seconds(600)))
        let byCheck = try health("ready: {within: 10m}\nhealth: {http: \"http://127.0.0.1:9000/healthz\"}")
        #expect(byCheck == ToolHealth(check: http, readyWithin: .seconds(600)))
        let command = try health("health: {exec: [./check.sh, --quick]}").check?.target
        #expect(command == .command(["/m/./check.sh", "--quick"]))
        #expect(
            try health("ready: {exec: [pg_isready]}").readiness
                == .probed(ToolProbe(.command(["pg_isready"]), every: .seconds(1)))
        )
        let port = try health("health: {tcp: \"127.0.0.1:${PORT}\"}", variables: ["PORT": "81"]).check?.target
        #expect(port == .tcp("127.0.0.1:81"))
        #expect(try health("health: {tcp: 127.0.0.1:9000}").check?.target == .tcp("127.0.0.1:9000"))
    }

    @Test("each instance has its own number in its probes")
    func instances() throws {
        let lines = """
            instances: 2
            health: {http: "http://127.0.0.1:900{instance}/{instance}"}
            ready: {tcp: "127.0.0.1:900{instance}"}
            """
        let text = Self.head + lines.split(separator: "\n").map { "    \($0)\n" }.joined()
        let tools = try ToolManifest.parse(text, variables: [:]).tools
        #expect(
            tools.map(\.health)
                == [1, 2].map { number in
                    ToolHealth(
                        check: ToolProbe(.http("http://127.0.0.1:900\(number)/\(number)")),
                        readiness: .probed(ToolProbe(.tcp("127.0.0.1:900\(number)"), every: .seconds(1)))
                    )
                }
        )
        for tool in tools { try tool.validate() }
        #expect(mistakes("instances: 2\nhealth: {tcp: \"127.0.0.1:x{instance}\"}").count == 1)
    }

    @Test("all mistakes, each where it is and with what was expected")
    func all() {
        #expect(
            mistakes(
                """
                health: {htp: "http://127.0.0.1:9000", every: soon, timeout: 2h, failures: none}
                ready: notfy
                watchdog: 10ms
                on_unhealthy: restat
                """
            ) == [
                "5:13: health needs one of http, tcp and exec, such as {http: \"http://127.0.0.1:9000/healthz\"}; it has "
                    + "none of them",
                "5:14: unknown key 'htp' in health; did you mean 'http'?",
                "5:51: health.every must be a duration such as 10s, 500ms or 1m30s, not 'soon'",
                "5:66: health.timeout must be from 0.01 seconds to 3600.0 seconds, not 2h",
                "5:80: health.failures must be a number from 1 to 1000, not 'none'",
                "6:12: ready must be notify, or an object such as {http: \"http://127.0.0.1:9000/healthz\"}, not 'notfy'",
                "7:15: watchdog must be from 0.1 seconds to 86400.0 seconds, not 10ms",
                "8:19: on_unhealthy must be restart or nothing, not 'restat'; did you mean 'restart'?",
            ]
        )
    }

    @Test(
        "what cannot be asked",
        arguments: [
            ("health: {https: x}", "unknown key 'https'"),
            ("health: {http: \"https://127.0.0.1/\"}", "health.http cannot be used: https is not supported; ask"),
            ("health: {http: \"127.0.0.1:9000\"}", "health.http cannot be used: it does not begin with http://"),
            ("health: {http: \"http://me:hunter2@127.0.0.1/\"}", "health.http cannot be used: it has a user"),
            ("health: {http: [a]}", "health.http must be text"),
            ("health: {tcp: 9000}", "health.tcp must be a host and a port such as \"127.0.0.1:9000\""),
            ("health: {tcp: \"a:0\"}", "health.tcp must be a host and a port"),
            ("health: {exec: check.sh}", "health.exec must be a list"),
            ("health: {exec: []}", "health.exec must name a program"),
            ("health: {tcp: \"a:1\", http: \"http://a\"}", "it has tcp and http of them"),
            ("health: {tcp: \"a:1\", within: 5s}", "unknown key 'within' in health"),
            ("health: notify", "health must be an object such as"),
            ("health: 10s", "health must be an object such as"),
            ("health: [a]", "health must be an object such as"),
            ("ready: {notify: true, tcp: \"a:1\"}", "ready has notify and tcp; give one of them"),
            ("ready: {notify: false}", "ready needs one of http, tcp and exec"),
            ("ready: {within: 5s}", "ready needs one of http, tcp and exec"),
            ("ready: {tcp: \"a:1\", failures: 3}", "unknown key 'failures' in ready"),
            ("ready: {tcp: \"a:1\", within: 2d}", "ready.within must be from"),
            ("ready: [notify]", "ready must be notify, or an object"),
            ("watchdog: {every: 5s}", "watchdog must be text"),
            ("on_unhealthy: [restart]", "on_unhealthy must be text"),
            ("health: {http: \"http://a/${NO_SUCH}\"}", "the environment variable NO_SUCH is not set"),
        ]
    )
    func refused(_ lines: String, _ words: String) {
        let found = mistakes(lines)
        #expect(found.contains { $0.contains(words) && $0.hasPrefix("5:") }, "\(lines): \(found)")
        #expect(!found.contains { $0.contains("hunter2") })
    }
}
