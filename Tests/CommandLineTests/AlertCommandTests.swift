import Foundation
import LocalNATSServer
import MeshEvents
import NATSClient
import TestSupport
import Testing

/// Alerts, as people use them: real processes, a real server, and targets that write down what they are told.
@Suite(.timeLimit(.minutes(5))) struct AlertCommandTests {
    private struct Bench {
        let server: LocalNATSServer
        let directory: TemporaryDirectory

        init(server: LocalNATSServer) throws {
            self.server = server
            directory = try TemporaryDirectory()
        }

        /// What the target was told so far, a line of JSON each.
        var told: [EventData] {
            ((try? directory.text(of: "told")) ?? "").split(separator: "\n").compactMap {
                try? EventData(json: String($0))
            }
        }

        /// `status rule group` of all that was told.
        var lines: [String] {
            told.flatMap { $0["alerts"]?.array ?? [] }.map { alert in
                let group = (alert["group"]?.members ?? []).map { "\($0.key)=\($0.value.string ?? "")" }.joined(
                    separator: ","
                )
                return "\(alert["status"]?.string ?? "") \(alert["rule"]?.string ?? "") \(group)"
            }
        }

        func file(_ rules: String, _ name: String = "alerts.yaml") throws -> String {
            let script = "cat >>'\(directory.path)/told'; echo >>'\(directory.path)/told'"
            return try directory.file(
                name,
                "notify:\n  log: {command: [sh, -c, \"\(script)\"], window: 0s, limit: 100000}\nalerts:\n" + rules
            )
        }

        func run(_ arguments: String...) async throws -> Command.Outcome {
            try await Command.run(arguments + ["--nats", server.url])
        }

        func watch(_ file: String, _ node: String, _ more: String...) async throws -> Command {
            let watch = try Command(
                ["alert", "run", "--config", file, "--node", node, "--lease", "3s", "--nats", server.url] + more
            )
            try await eventually("\(node) to watch or wait: \(watch.error)") {
                watch.error.contains("watches the mesh by") || watch.error.contains("waits until none does")
            }
            return watch
        }

        /// Waits until the state says that it begins with what comes from now on.
        func begun() async throws {
            try await eventually("a position") {
                try await run("alert", "list").output.contains("no process watches") == false
            }
        }

        func emit(_ type: String, _ fields: String...) async throws {
            let outcome = try await Command.run(["emit", type, "--node", "pi", "--nats", server.url] + fields)
            #expect(outcome.code == 0, "\(outcome.error)")
        }
    }

    private static let down =
        "  - {name: down, when: tool.crashed, resolve: tool.started, severity: critical, to: log}\n"

    @Test(
        "what fires and what is over reaches the target; list, show, ack and silence say and do what they say",
        arguments: NATSServers.all
    )
    func fromEventToPerson(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let bench = try Bench(server: server)
            #expect(try await bench.run("stream", "create").code == 0)
            let empty = try await bench.run("alert", "list")
            #expect(empty.code == 0 && empty.output == "nothing fires: no process watches the alerts\n", "\(empty)")
            let watch = try await bench.watch(try bench.file(Self.down), "watcher")
            try await bench.begun()
            try await bench.emit("tool.crashed", "tool=whisper", "error=exit status 1", "restart_count=1")
            try await eventually("it is told") { bench.lines == ["firing down node=pi,tool=whisper"] }
            let list = try await bench.run("alert", "list")
            #expect(
                list.lines.count == 2 && list.lines[1].hasPrefix("down   whisper on pi  critical"),
                "\(list.output)"
            )
            #expect(list.output.contains("exit status 1"))
            let json = try EventData(json: try await bench.run("alert", "list", "--json").output)
            #expect(json["rule"]?.string == "down" && json["count"]?.int == 1 && json["acknowledged"]?.bool == false)
            let status = try await bench.run("status")
            #expect(status.lines.first == "1 alert fires" && status.lines.count > 4, "\(status.output)")
            let whole = try EventData(json: try await bench.run("status", "--json").output)
            #expect(whole["alerts"]?.array?.first?["rule"]?.string == "down" && whole["nodes"]?.array?.count == 1)
            let show = try await bench.run("alert", "show", "tool=whisper")
            #expect(
                show.output.contains("node=pi tool=whisper") && show.output.contains("exit status 1"),
                "\(show.output)"
            )
            #expect(try await bench.run("alert", "show", "node=attic").code == 69)
            let ack = try await bench.run("alert", "ack", "down", "--reason", "on it")
            #expect(ack.output == "down: whisper on pi is acknowledged until it is over\n", "\(ack)")
            try await eventually("it is acknowledged") {
                try await bench.run("alert", "list").output.contains("(acknowledged)")
            }
            #expect(try await bench.run("alert", "ack", "down").code == 69)
            let silence = try await bench.run(
                "alert",
                "silence",
                "down",
                "tool=other",
                "--for",
                "1h",
                "--reason",
                "new disk"
            )
            #expect(silence.output.hasPrefix("down tool=other is silenced until "), "\(silence)")
            try await bench.emit("tool.crashed", "tool=other", "error=e", "restart_count=1")
            try await bench.emit("tool.started", "tool=whisper")
            try await eventually("the end is told") { bench.lines.contains("resolved down node=pi,tool=whisper") }
            #expect(bench.lines.count == 2, "\(bench.lines)")
            let after = try await bench.run("alert", "list")
            #expect(after.output.contains("(silenced)") && after.output.contains("new disk"), "\(after.output)")
            #expect(try await bench.run("alert", "silence", "down", "tool=other", "--end").code == 0)
            try await eventually("what fires still is told") { bench.lines.contains("firing down node=pi,tool=other") }
            watch.signal(SIGTERM)
            #expect(try await watch.wait().code == 0)
            let history = try await bench.run("list", "alert.*", "--json")
            let types = try history.lines.map { try EventData(json: $0)["type"]?.string ?? "" }
            #expect(
                types.filter { $0 == "alert.fired" }.count == 3 && types.filter { $0 == "alert.resolved" }.count == 1
            )
        }
    }

    @Test("a process that is killed is followed by the other, which repeats nothing and forgets nothing")
    func killed() async throws {
        try await withServer { server in
            let bench = try Bench(server: server)
            #expect(try await bench.run("stream", "create").code == 0)
            let file = try bench.file(Self.down)
            let first = try await bench.watch(file, "one")
            try await bench.begun()
            let second = try await bench.watch(file, "two")
            try await bench.emit("tool.crashed", "tool=a", "error=e", "restart_count=1")
            try await eventually("the first is told") { bench.lines.count == 1 }
            first.signal(SIGKILL)
            for tool in ["b", "c"] {
                try await bench.emit("tool.crashed", "tool=\(tool)", "error=e", "restart_count=1")
            }
            try await bench.emit("tool.started", "tool=a")
            try await eventually("the rest is told") { Set(bench.lines).count == 4 }
            try await Task.sleep(for: .milliseconds(500))
            #expect(
                Set(bench.lines) == [
                    "firing down node=pi,tool=a", "firing down node=pi,tool=b", "firing down node=pi,tool=c",
                    "resolved down node=pi,tool=a",
                ]
            )
            // Killed between telling and noting that it has told, it may have been followed by one that tells again.
            let ids = bench.told.map { $0["id"]?.string ?? "" }
            #expect(bench.lines.count - 4 == ids.count - Set(ids).count, "\(bench.lines), \(ids)")
            second.signal(SIGTERM)
            #expect(try await second.wait().code == 0)
        }
    }

    @Test("a server that is killed and comes back is waited for")
    func serverKilled() async throws {
        try await withServer { server in
            let bench = try Bench(server: server)
            #expect(try await bench.run("stream", "create").code == 0)
            let watch = try await bench.watch(try bench.file(Self.down), "one")
            try await bench.begun()
            try await bench.emit("tool.crashed", "tool=a", "error=e", "restart_count=1")
            try await eventually("it is told") { bench.lines.count == 1 }
            await server.kill()
            try await Task.sleep(for: .seconds(1))
            try await server.restart()
            try await bench.emit("tool.started", "tool=a")
            try await eventually(within: .seconds(60), "the end is told") { bench.lines.count == 2 }
            watch.signal(SIGTERM)
            #expect(try await watch.wait().code == 0)
        }
    }

    @Test("SIGHUP reads the file again and keeps the states; a file with mistakes changes nothing")
    func readAgain() async throws {
        try await withServer { server in
            let bench = try Bench(server: server)
            #expect(try await bench.run("stream", "create").code == 0)
            let file = try bench.file(Self.down)
            let watch = try await bench.watch(file, "one")
            try await bench.begun()
            try await bench.emit("tool.crashed", "tool=a", "error=e", "restart_count=1")
            try await eventually("it is told") { bench.lines.count == 1 }
            _ = try bench.file("  - {name: down}\n")
            watch.signal(SIGHUP)
            try await watch.waitForError("has mistakes, so the alerts go on unchanged")
            _ = try bench.file(Self.down + "  - {name: job, when: user.job.failed, to: log}\n")
            watch.signal(SIGHUP)
            try await watch.waitForError("read again: 2 rules, 1 target")
            try await eventually("the new rule counts") {
                try await bench.emit("user.job.failed", "error=e")
                return bench.lines.contains { $0.hasPrefix("firing job") }
            }
            try await bench.emit("tool.started", "tool=a")
            try await eventually("the old one is over") { bench.lines.contains("resolved down node=pi,tool=a") }
            watch.signal(SIGTERM)
            #expect(try await watch.wait().code == 0)
        }
    }

    @Test("try prints what would have fired, test what each target answered, check what the file means")
    func tryTestCheck() async throws {
        try await withServer { server in
            let bench = try Bench(server: server)
            #expect(try await bench.run("stream", "create").code == 0)
            for number in 0..<3 {
                try await bench.emit("tool.crashed", "tool=a", "error=e\(number)", "restart_count=\(number)")
            }
            try await bench.emit("tool.started", "tool=a")
            let file = try bench.file(
                "  - {name: down, when: tool.crashed, count: 3, within: 10m, resolve: tool.started, to: log}\n"
                    + "  - {name: never, when: user.never, to: log}\n"
            )
            let tried = try await bench.run("alert", "try", "--config", file, "--since", "1h")
            #expect(tried.code == 0 && tried.lines.count == 2, "\(tried)")
            #expect(
                tried.lines.first?.contains("fires  warning   down  a on pi  3 times  e2") == true,
                "\(tried.output)"
            )
            #expect(tried.lines.last?.contains("over   warning   down") == true, "\(tried.output)")
            #expect(
                tried.error.contains("4 events since") && tried.error.contains("fired: down 1, never 0"),
                "\(tried.error)"
            )
            let lines = try await bench.run("alert", "try", "--config", file, "--since", "1h", "--json").lines
            let json = try EventData(json: #require(lines.first))
            #expect(
                json["sequences"]?.array?.compactMap(\.int) == [1, 2, 3]
            )
            let stored = try await bench.run("list", "alert.*")
            #expect(bench.told.isEmpty && stored.output.isEmpty, "\(stored)")

            let tested = try await Command.run(["alert", "test", "--config", file])
            #expect(tested.code == 0 && tested.output.hasPrefix("log: took it: "), "\(tested)")
            #expect(bench.told.count == 1)
            let unknown = try await Command.run(["alert", "test", "phone", "--config", file])
            #expect(unknown.code == 64 && unknown.error.contains("has no target phone: it has log"), "\(unknown.error)")
            let failing = try bench.directory.file("failing.yaml", "notify: {bad: {command: [\"false\"]}}\n")
            let failed = try await Command.run(["alert", "test", "--config", failing])
            #expect(failed.code == 69 && failed.output.hasPrefix("bad: did not take it: "), "\(failed)")

            let checked = try await Command.run(["alert", "check", file])
            #expect(
                checked.code == 0 && checked.lines.count == 3 && checked.lines[0].hasPrefix("down (warning): when "),
                "\(checked)"
            )
            let broken = try bench.directory.file(
                "broken.yaml",
                "alerts:\n  - {name: a, wehn: x}\n  - {name: a b, when: y}\n"
            )
            let wrong = try await Command.run(["alert", "check", broken])
            #expect(wrong.code == 65 && wrong.error.contains("broken.yaml:2:15: unknown key 'wehn'"), "\(wrong.error)")
        }
    }
}
