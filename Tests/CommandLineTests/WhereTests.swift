import Foundation
import LocalNATSServer
import TestSupport
import Testing

/// `--where`, which every command that reads events takes.
@Suite(.timeLimit(.minutes(5)))
struct WhereTests {
    /// Stores events of the node `pi`: each hundredth has a load of 0.97, the others one of 0.2.
    private func emit(_ numbers: Range<Int>, to server: LocalNATSServer, type: String = "node.health") async throws {
        try await Command.emit(
            numbers.map {
                #"{"type":"\#(type)","data":{"n":\#($0),"resources":{"cpu":\#($0 % 100 == 3 ? 0.97 : 0.2)}}}"#
            },
            to: server
        )
    }

    private func numbers(_ output: String) -> [Int] {
        output.matches(of: #/"data":\{"n":(\d+),/#).compactMap { Int($0.1) }
    }

    @Test(arguments: NATSServers.all)
    func listFindsTheNewestHoweverFarBackAndPagesGoOn(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            try await emit(0..<304, to: server)
            try await emit(400..<500, to: server, type: "user.other")
            try await emit(504..<600, to: server)
            func list(_ arguments: [String]) async throws -> Command.Outcome {
                let list = try await Command.run(["list", "--json", "--nats", server.url] + arguments)
                #expect(list.code == 0, "\(list.error)")
                return list
            }
            let hot = ["--where", "resources.cpu > 0.9"]
            #expect(numbers(try await list(hot).output) == [3, 103, 203, 303, 403])
            #expect(numbers(try await list(hot + ["node.*"]).output) == [3, 103, 203, 303])
            #expect(numbers(try await list(hot + ["--where", "n in 103, 303, 4"]).output) == [103, 303])
            #expect(numbers(try await list(hot + ["--node", "other"]).output) == [])
            #expect(numbers(try await list(hot + ["--where", "!n"]).output) == [])
            let first = try await list(hot + ["node.*", "--limit", "2"])
            #expect(numbers(first.output) == [203, 303])
            let cursor = try #require(first.error.firstMatch(of: #/--cursor (\d+-\d+)/#)?.1)
            let second = try await list(hot + ["node.*", "--limit", "2", "--cursor", String(cursor)])
            #expect(numbers(second.output) == [3, 103])
            let raw = try await Command.run(["list", "--raw", "--where", "n = 203", "--nats", server.url])
            #expect(numbers(raw.output) == [203])
        }
    }

    @Test(arguments: NATSServers.all)
    func replayAndExportHaveWhatFits(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            try await emit(0..<304, to: server)
            let arguments = ["--where", "resources.cpu > 0.9", "--where", "n != 103", "--nats", server.url]
            let replay = try Command(["replay", "--json", "--follow"] + arguments)
            try await replay.waitForError("new ones follow")
            #expect(numbers(replay.output) == [3, 203, 303])
            try await emit(401..<404, to: server)
            try await eventually("the new one") { numbers(replay.output) == [3, 203, 303, 403] }
            replay.signal(SIGINT)
            #expect(try await replay.wait().code == 0)
            let limited = try await Command.run(["replay", "--json", "--limit", "2"] + arguments)
            #expect(numbers(limited.output) == [3, 203])
            let export = try await Command.run(["export"] + arguments)
            #expect(export.code == 0 && numbers(export.output) == [3, 203, 303, 403], "\(export.error)")
        }
    }

    @Test(arguments: NATSServers.all, [true, false])
    func watchShowsWhatFitsAndWaitForWaitsForIt(binary: NATSServers.Binary, hasStream: Bool) async throws {
        try await withServer(binary) { server in
            if hasStream {
                #expect(try await Command.run(["emit", "user.a", "--ack", "--nats", server.url]).code == 0)
            }
            let arguments = ["--where", "resources.cpu > 0.9", "--json", "--nats", server.url]
            let watch = try Command(["watch", "--limit", "2"] + arguments)
            try await watch.waitForError("watching")
            let wait = try Command(["wait-for", "node.health", "--where", "n >= 200"] + arguments)
            try await wait.waitForError("waiting up to 60s for node.health where n >= 200 and resources.cpu > 0.9")
            try await emit(0..<304, to: server)
            let watched = try await watch.wait()
            #expect(watched.code == 0 && numbers(watched.output) == [3, 103], "\(watched.error)")
            let waited = try await wait.wait()
            #expect(waited.code == 0 && numbers(waited.output) == [203], "\(waited.error)")
        }
    }

    @Test func aToolAndConditionsAreWaitedForTogether() async throws {
        try await withServer { server in
            try await Command.emit(
                [
                    #"{"type":"tool.crashed","data":{"tool":"whis*","n":1,"exit_code":137}}"#,
                    #"{"type":"tool.crashed","data":{"tool":"whisper","n":2,"exit_code":1}}"#,
                    #"{"type":"tool.crashed","data":{"tool":"whisper","n":3,"exit_code":137}}"#,
                ],
                to: server
            )
            for (tool, expected) in [("whisper", 3), ("whis*", 1)] {
                let wait = try await Command.run([
                    "wait-for", "tool.crashed", "--tool", tool, "--where", "exit_code = 137", "--since", "1h", "--json",
                    "--nats", server.url,
                ])
                #expect(wait.code == 0 && wait.output.contains(#""n":\#(expected),"#), "\(wait.output) \(wait.error)")
            }
        }
    }

    @Test(arguments: NATSServers.all)
    func onRunsForWhatFitsAndTheOthersAreDone(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        func runs() -> [String] {
            ((try? directory.text(of: "runs")) ?? "").split(separator: "\n").map(String.init)
        }
        try await withServer(binary) { server in
            try await emit(0..<304, to: server)
            let script = try directory.script(
                "job",
                """
                echo "$MESH_EVENT_SEQUENCE $MESH_EVENT_DELIVERIES" >>\(directory.path)/runs
                """
            )
            let arguments = [
                "on", "node.health", "--durable", "hot", "--max-deliveries", "1", "--where", "resources.cpu > 0.9",
                "--where", "node = p*", "--nats", server.url, "--", script,
            ]
            let first = try Command(arguments)
            try await eventually("four runs") { runs().count == 4 }
            first.signal(SIGTERM)
            #expect(try await first.wait().code == 0)
            try await emit(304..<404, to: server)
            let second = try Command(arguments)
            try await eventually("a fifth run") { runs().count == 5 }
            func left() async throws -> Bool {
                let info = try await Command.run(["stream", "info", "--json", "--nats", server.url])
                return info.output.contains(#""lag":0"#) && info.output.contains(#""unacknowledged":0"#)
            }
            try await eventually("nothing to be left for the durable") { try await left() }
            second.signal(SIGTERM)
            #expect(try await second.wait().code == 0)
            #expect(runs() == ["4 1", "104 1", "204 1", "304 1", "404 1"])
            let letters = try await Command.run(["list", "user.dead_letter.*", "--json", "--nats", server.url])
            #expect(letters.code == 0 && letters.lines.isEmpty, "\(letters.output)")
        }
    }

    @Test("a wrong condition is a wrong command line, before anything is connected")
    func wrongConditions() async throws {
        let commands = [
            ["list"], ["watch"], ["replay"], ["wait-for", "user.a"], ["export"],
            ["on", "user.a", "--durable", "d", "--", "true"],
        ]
        for command in commands {
            for condition in ["tool ~ x", "cpu > hot", ""] {
                let arguments = [command[0], "--where", condition, "--nats", "nats://127.0.0.1:1"]
                let outcome = try await Command.run(arguments + command.dropFirst())
                #expect(outcome.code == 64, "\(command): \(outcome.error)")
                #expect(
                    outcome.error.contains("--where: \"\(condition)\" is no condition"),
                    "\(command): \(outcome.error)"
                )
            }
        }
        let raw = try await Command.run(["watch", "--raw", "--where", "a", "--nats", "nats://127.0.0.1:1"])
        #expect(raw.code == 64 && raw.error.contains("--where"), "\(raw.error)")
    }
}
