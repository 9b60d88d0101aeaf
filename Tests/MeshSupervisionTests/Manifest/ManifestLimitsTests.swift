import MeshEvents
import MeshSupervision
import TestSupport
import Testing

@Suite("Limits, order and schedules in mesh.yaml")
struct ManifestLimitsTests {
    private func parse(_ text: String, _ variables: [String: String] = [:]) throws -> [ToolSpecification] {
        try ToolManifest.parse(text, file: "/etc/mesh/mesh.yaml", variables: variables).tools
    }

    private func mistakes(_ text: String) -> [String] {
        do {
            _ = try ToolManifest.parse(text, file: "mesh.yaml", variables: [:])
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }

    /// The mistakes of a tool with these lines, which begin in line 3, column 5.
    private func mistakes(inTool lines: String) -> [String] {
        mistakes("tools:\n  - {name: a, command: [a],\n    \(lines)}\n")
    }

    @Test("everything that can be said")
    func everything() throws {
        let tools = try parse(
            """
            tools:
              - name: db
                command: [db]
                restart: {policy: always, max: 3, within: 10m, delay: 500ms, max_delay: 30s}
                stop: {signal: int, grace: 20s}
                memory: {max: 8G, action: kill}
                nice: 10
                cpus: 0-3, 6
                umask: 027
                limits: {nofile: 4096, core: 0, as: 8G, cpu: 30m, nproc: unlimited, fsize: 1.5GiB, stack: 512}
                user: postgres
              - name: api
                command: [api, --number, "{instance}"]
                env: {SLOT: "slot-{instance}", KEY: "${KEY}-{instance}"}
                config: {list: [{port: "900{instance}"}]}
                directory: work/{instance}
                instances: 2
                after: {tools: [db], within: 2m}
                memory: 512M
              - {name: page, command: [page], after: [api, db], restart: {max: unlimited}}
              - {name: backup, command: [backup], after: [db], schedule: "0 3 * * *"}
              - {name: report, command: [report], schedule: {cron: "@weekly", zone: Europe/Vienna, missed: run}}
              - {name: sync, command: [sync], every: 6h, umask: "0o077"}
            """,
            ["KEY": "s3cret-key"]
        )
        #expect(tools.map(\.name) == ["db", "api-1", "api-2", "page", "backup", "report", "sync"])
        let db = tools[0]
        #expect(db.version.isEmpty && db.description == "db (db)")
        #expect(
            db.restart
                == RestartPolicy(
                    mode: .always,
                    initialDelay: .milliseconds(500),
                    maximumDelay: .seconds(30),
                    maximumRestarts: 3,
                    within: .seconds(600)
                )
        )
        #expect(db.stopSignal == .int && db.gracePeriod == .seconds(20))
        #expect(db.memory == ToolMemoryLimit(maximum: 8 << 30, action: .kill))
        #expect(
            db.process
                == ToolProcessSettings(
                    nice: 10,
                    cpus: [0, 1, 2, 3, 6],
                    umask: 0o027,
                    limits: [
                        .nofile: .at(4_096), .core: .at(0), .as: .at(8 << 30), .cpu: .at(1_800), .nproc: .unlimited,
                        .fsize: .at(3 << 29), .stack: .at(512),
                    ],
                    user: "postgres"
                )
        )
        for (number, tool) in tools[1...2].enumerated().map({ ($0 + 1, $1) }) {
            #expect(tool.command == ["api", "--number", "\(number)"])
            #expect(tool.environment == ["SLOT": "slot-\(number)", "KEY": "s3cret-key-\(number)"])
            #expect(tool.configuration.json == #"{"list":[{"port":"900\#(number)"}]}"#)
            #expect(tool.directory == "/etc/mesh/work/\(number)")
            #expect(tool.after == ToolDependencies(["db"], within: .seconds(120)))
            #expect(tool.memory == ToolMemoryLimit(maximum: 512 << 20))
            #expect(tool.confidential.contains("s3cret-key-\(number)"))
        }
        #expect(tools[3].after.names == ["api-1", "api-2", "db"] && tools[3].after.within == .seconds(60))
        #expect(tools[3].restart == RestartPolicy(maximumRestarts: .max))
        #expect(try tools[4].schedule == .cron("0 3 * * *") && tools[4].after.names == ["db"])
        #expect(try tools[5].schedule == .cron("@weekly", timeZone: "Europe/Vienna", missed: .run))
        #expect(tools[6].schedule == .every(.seconds(21_600)) && tools[6].process.umask == 0o077)
        for tool in tools { try tool.validate() }
    }

    @Test("the old forms say what they said")
    func oldForms() throws {
        let tool = try #require(try parse("tools: [{name: a, command: [a], restart: always, grace: 5s}]").first)
        #expect(tool.restart == RestartPolicy(mode: .always) && tool.gracePeriod == .seconds(5))
        #expect(tool.stopSignal == .term && tool.process == .init() && tool.memory == nil && tool.schedule == nil)
        // A first delay that is longer than the longest by default.
        let slow = try #require(try parse("tools: [{name: a, command: [a], restart: {delay: 5m}}]").first)
        #expect(slow.restart.initialDelay == .seconds(300) && slow.restart.maximumDelay == .seconds(300))
        try slow.validate()
    }

    @Test(
        "one mistake each, where it is",
        arguments: [
            ("restart: {polcy: never}", "3:15: unknown key 'polcy' in restart; did you mean 'policy'?"),
            (
                "restart: {policy: often}",
                "3:23: restart.policy must be always, on-failure, never, not 'often'; there are always, on-failure, never"
            ),
            (
                "restart: {max: -1}",
                "3:20: restart.max must be a whole number from 0 to 1000000, or unlimited, not '-1'"
            ),
            ("restart: {within: 0s}", "3:23: restart.within must be from 1.0 seconds to 2592000.0 seconds, not 0s"),
            (
                "restart: {delay: 2m, max_delay: 1m}",
                "3:14: restart.max_delay must not be less than the first delay, 120.0 seconds"
            ),
            ("restart: [always]", "3:14: restart must be text, not a list"),
            (
                "stop: {signal: SIGKILL}",
                "3:20: stop.signal must be one of SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, not 'SIGKILL'; 'grace: 0s' kills at once"
            ),
            (
                "stop: {signal: 2}",
                "3:20: stop.signal must be one of SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, not '2'"
            ),
            ("stop: SIGINT", "3:11: stop must be an object (key: value), not 'SIGINT'"),
            ("stop: {grace: 1s}, grace: 2s", "3:31: grace is given twice; keep that of 'stop'"),
            ("grace: 2s, stop: {grace: 1s}", "3:12: grace is given twice; keep that of 'stop'"),
            ("memory: lots", "3:13: memory must be a size such as 512M or 8G, not 'lots'"),
            ("memory: {max: 0}", "3:19: memory.max must be a size such as 512M or 8G, not '0'"),
            ("memory: {max: 100}", "3:19: memory.max must be at least 1M, not '100'; give a unit, such as 100M"),
            ("memory: 900K", "3:13: memory must be at least 1M, not '900K'"),
            ("limits: {as: 8}", "3:18: limits.as must be at least 1M, not '8'; give a unit, such as 8M"),
            ("memory: {action: kill}", "3:13: memory lacks 'max', such as 8G"),
            (
                "memory: {max: 1G, action: warn}",
                "3:31: memory.action must be restart, kill, not 'warn'; there are restart, kill"
            ),
            ("nice: 20", "3:11: nice must be a whole number from -20 to 19, not '20'"),
            ("cpus: 3-0", "3:11: cpus must be numbers of processors such as 0-3 or 0,2, not '3-0'"),
            ("cpus: '0-1024'", "3:11: cpus must be numbers of processors such as 0-3 or 0,2, not '0-1024'"),
            ("umask: 028", "3:12: umask must be octal, from 000 to 777, such as \"027\", not '028'"),
            ("umask: '1777'", "3:12: umask must be octal, from 000 to 777, such as \"027\", not '1777'"),
            ("limits: {nfile: 1}", "3:14: unknown key 'nfile' in limits; did you mean 'nofile'?"),
            ("limits: {nofile: 4k}", "3:22: limits.nofile must be a number, or unlimited, not '4k'"),
            ("limits: {as: -1}", "3:18: limits.as must be a size such as 512M, or unlimited, not '-1'"),
            (
                "limits: {cpu: soon}",
                "3:19: limits.cpu must be seconds or a duration such as 30m, or unlimited, not 'soon'"
            ),
            ("user: ''", "3:11: user must not be empty"),
            ("instances: 0", "3:16: instances must be a whole number from 1 to 100, not '0'"),
            ("instances: many", "3:16: instances must be a whole number from 1 to 100, not 'many'"),
            ("schedule: '0 25 * * *'", "3:15: schedule: the hour must be from 0 to 23, not '25'"),
            ("schedule: {zone: UTC}", "3:15: schedule lacks 'cron', such as \"0 3 * * *\""),
            (
                "schedule: {cron: '@daily', zone: Mars/Base}",
                "3:22: schedule: there is no time zone 'Mars/Base'; write it like Europe/Vienna"
            ),
            (
                "schedule: {cron: '@daily', missed: catch}",
                "3:40: schedule.missed must be skip, run, not 'catch'; there are skip, run"
            ),
            ("every: 100ms", "3:12: every must be from 1.0 seconds to 31622400.0 seconds, not 100ms"),
            ("every: 1h, schedule: '@daily'", "3:12: every and schedule exclude each other; keep one"),
            (
                "every: 1h, restart: always",
                "3:25: a tool with a schedule is started at its times only; leave 'restart' out"
            ),
            ("after: db", "3:12: after must be a list of tools, such as [db], not 'db'"),
            ("after: [db]", "3:13: after names 'db', which is no tool of this manifest"),
            ("after: [a]", "3:13: after: a cannot be started after itself"),
            ("after: {tools: [], within: 5h}", "3:32: after.within must be from 0.1 seconds to 3600.0 seconds, not 5h"),
        ]
    )
    func single(_ line: String, _ mistake: String) { #expect(mistakes(inTool: line) == [mistake]) }

    @Test("circles, names that are no tool's, and instances that collide")
    func order() {
        let circle = """
            tools:
              - {name: db, command: [a], after: [api]}
              - {name: page, command: [a], after: [db]}
              - {name: api, command: [a], after: [page]}
              - {name: other, command: [a], after: [db]}
            """
        #expect(
            mistakes(circle) == [
                "2:38: after: a circle: db waits for api, api waits for page, page waits for db; leave one of them out"
            ]
        )
        let names = """
            tools:
              - {name: worker, command: [a], instances: 3}
              - {name: b, command: [a], after: [worker, worker-2, werker, worker-4, nightly]}
              - {name: worker-3, command: [a]}
              - {name: c, command: [a], instances: 2, after: [c]}
              - {name: nightly, command: [a], every: 1d}
            """
        #expect(
            mistakes(names) == [
                "3:55: after names 'werker', which is no tool of this manifest; did you mean 'worker'?",
                "3:63: after names 'worker-4', which is no tool of this manifest; did you mean 'worker-1'?",
                "3:73: after names 'nightly', which has a schedule, and so is not kept running",
                "4:5: a second tool named 'worker-3'; the first is in line 2",
                "5:51: after: c cannot be started after itself",
            ]
        )
        // A tool that was left out for another mistake may be the one that is meant.
        let broken = "tools:\n  - {name: d b, command: [a]}\n  - {name: a, command: [a], after: [db]}\n"
        #expect(mistakes(broken).count == 1)
        let many = "tools:\n" + (0..<11).map { "  - {name: t\($0), command: [a], instances: 100}\n" }.joined()
        #expect(mistakes(many) == ["2:3: too many tools with all instances; a manifest has at most 1000"])
    }

    @Test("a chain as long as a manifest is sorted, and one that is a circle is found")
    func chain() throws {
        func text(_ last: String) -> String {
            "tools:\n  - {name: t0, command: [a]\(last)}\n"
                + (1..<1_000).map { "  - {name: t\($0), command: [a], after: [t\($0 - 1)]}\n" }.joined()
        }
        #expect(try parse(text("")).count == 1_000)
        let found = mistakes(text(", after: [t999]"))
        #expect(found.count == 1 && found.first?.hasPrefix("2:38: after: a circle: t0 waits for t999") == true)
    }

    @Test("what a change of each setting does")
    func differences() throws {
        let plain = ToolSpecification(name: "a", command: ["a"])
        func kind(_ change: (inout ToolSpecification) -> Void) -> ToolManifest.Difference.Kind? {
            var other = plain
            change(&other)
            return ToolManifest(tools: [plain]).difference(to: ToolManifest(tools: [other])).changed.first?.kind
        }
        #expect(kind { $0.process.nice = 1 } == .update)
        #expect(kind { $0.process.user = "nobody" } == .update)
        #expect(kind { $0.schedule = .every(.seconds(60)) } == .update)
        #expect(kind { $0.memory = ToolMemoryLimit(maximum: 1) } == .supervision)
        #expect(kind { $0.after = ["b"] } == .supervision)
        #expect(kind { $0.stopSignal = .int } == .supervision)
        #expect(kind { $0.restart.within = .seconds(1) } == .supervision)
        #expect(kind { _ in } == nil)
    }

    @Test("the size of log files is read as every size")
    func logSizes() throws {
        for (text, bytes) in [
            ("4M", 4 << 20), ("1.5MB", 3 << 19), ("65536", 65_536), ("64KiB", 64 << 10), ("1G", 1 << 30),
        ] {
            let tools = try parse("tools:\n  - {name: a, command: [a], logs: {size: \(text)}}\n")
            #expect(tools.map(\.logs.fileSize) == [bytes], "\(text)")
        }
        for text in ["4X", "63K", "2G", "-1", "''", "[]", "99999999T"] {
            #expect(
                mistakes(inTool: "logs: {size: \(text)}").first?.contains("a size from 64K to 1G") == true,
                "\(text)"
            )
        }
    }

    @Test("sizes and durations read and written")
    func units() {
        let sizes: [(String, UInt64?)] = [
            ("0", 0), ("1024", 1_024), ("5B", 5), ("1K", 1_024), ("1k", 1_024), ("2M", 2 << 20), ("1.5G", 3 << 29),
            ("8GiB", 8 << 30), ("8gb", 8 << 30), ("1T", 1 << 40), ("", nil), ("G", nil), ("1.5", nil), ("-1", nil),
            ("1X", nil), ("1.G", nil), (".5G", nil), ("1G1", nil), ("99999999T", nil), ("१G", nil),
        ]
        for (text, bytes) in sizes { #expect(ManifestSize.parse(text) == bytes, "\(text)") }
        let texts: [(Int, String)] = [
            (0, "0 bytes"), (1_023, "1023 bytes"), (1_024, "1 KB"), (8 << 30, "8 GB"), (8_804_682_956, "8.2 GB"),
            (.max, "8388608 TB"),
        ]
        for (bytes, text) in texts { #expect(ManifestSize.text(bytes) == text) }
        let durations: [(Duration, String)] = [
            (.zero, "0s"), (.milliseconds(1_500), "1s500ms"), (.seconds(600), "10m"), (.seconds(90_061), "1d1h1m1s"),
        ]
        for (duration, text) in durations {
            #expect(ManifestDuration.text(duration) == text)
            #expect(ManifestDuration.parse(text) == duration)
        }
    }
}
