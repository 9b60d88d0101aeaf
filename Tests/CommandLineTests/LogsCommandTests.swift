import Foundation
import LocalNATSServer
import MeshEvents
import TestSupport
import Testing

/// `tool logs` and `logs`, as a person runs them.
@Suite(.timeLimit(.minutes(4))) struct LogsCommandTests {
    /// A tool that says a few things and waits.
    private static let chatty = #"""
        node: me
        health: {interval: 1s}
        tools:
          - name: whisper
            version: "1.0.0"
            env: {API_TOKEN: "the words of the tool"}
            command:
              - sh
              - -c
              - |
                echo "run $$"; echo "loading"; printf 'model \033[31mbase\033[0m\n'
                echo "CUDA out of memory" >&2; echo "login with $API_TOKEN"
                echo ready; touch ready; exec sleep 600
          - name: silent
            version: "1.0.0"
            command: [sleep, "600"]
            logs: false

        """#

    private final class Node {
        let directory: TemporaryDirectory
        let manifest: String
        let server: LocalNATSServer
        private(set) var serve: Command

        init(_ server: LocalNATSServer) throws {
            self.server = server
            directory = try TemporaryDirectory()
            manifest = try directory.file("mesh.yaml", LogsCommandTests.chatty)
            serve = try Self.start(directory, manifest, server)
        }

        private static func start(
            _ directory: TemporaryDirectory,
            _ manifest: String,
            _ server: LocalNATSServer
        ) throws -> Command {
            let arguments = ["serve", "--config", manifest, "--log-directory", directory.path + "/logs"]
            return try Command(arguments + ["--nats", server.url])
        }

        func start() throws { serve = try Self.start(directory, manifest, server) }

        /// Waits until the tool has said all.
        func ready() async throws {
            let path = directory.path + "/ready"
            try await eventually("the tool") { TemporaryDirectory.exists(path) || !serve.isRunning }
            var answer: Command.Outcome?
            do {
                try await eventually("its last line in the log") {
                    answer = try await run("tool", "logs", "whisper", "--node", "me")
                    return answer?.output.contains("out  ready") == true
                }
            } catch {
                throw TestSupportError("\(error) \(answer.map { "\($0)" } ?? "")")
            }
        }

        func run(_ arguments: String...) async throws -> Command.Outcome {
            try await Command.run(arguments + ["--nats", server.url])
        }

        func end() async throws {
            serve.signal(SIGTERM)
            let outcome = try await serve.wait(within: .seconds(30))
            #expect(outcome.code == 0, "\(outcome.error)")
        }
    }

    @Test(arguments: NATSServers.all)
    func whatAToolHasWrittenIsReadFromElsewhere(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let node = try Node(server)
            try await node.ready()
            let all = try await node.run("tool", "logs", "whisper")
            #expect(all.code == 0 && all.error.isEmpty, "\(all.error)")
            let words = all.lines.map { $0.replacing(#/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} /#, with: "") }
            #expect(words.contains("out  loading") && words.contains("err  CUDA out of memory"), "\(words)")
            #expect(words.contains(#"out  model \u001b[31mbase\u001b[0m"#), "\(words)")
            #expect(words.contains("out  login with [redacted]"), "\(words)")
            #expect(words.contains { $0.firstMatch(of: #/^node started, process \d+$/#) != nil }, "\(words)")

            let errors = try await node.run("tool", "logs", "whisper", "--node", "me", "--stderr")
            #expect(
                errors.lines.count == 1 && errors.output.hasSuffix(" err  CUDA out of memory\n"),
                "\(errors.output)"
            )
            let last = try await node.run("tool", "logs", "whisper", "--lines", "1")
            #expect(last.lines == Array(all.lines.suffix(1)), "\(last.output)")
            let found = try await node.run("tool", "logs", "whisper", "--grep", "memory", "--since", "1h", "--json")
            let json = try EventData(json: found.output)
            #expect(found.lines.count == 1 && json["line"]?.string == "CUDA out of memory", "\(found.output)")
            #expect(json["node"]?.string == "me" && json["tool"]?.string == "whisper")
            #expect(json["stream"]?.string == "stderr" && json["number"]?.int ?? 0 > 0)
            #expect(try Timestamp(rfc3339: json["time"]?.string ?? "").duration(since: .now) < .seconds(1))
            let secret = try await node.run("tool", "logs", "whisper", "--grep", "the words")
            #expect(secret.code == 0 && secret.output.isEmpty && secret.error.contains("no line in that log matches"))

            let own = try await node.run("logs", "--node", "me")
            #expect(own.output.contains("whisper: tool started"), "\(own.output)")
            #expect(!own.output.contains("loading"))
            #expect(try await node.run("logs", "--grep", "is in the mesh of").lines.count == 1)
            try await node.end()
        }
    }

    @Test(arguments: NATSServers.all)
    func mistakesAndMissingNodesGetOneClearLine(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let node = try Node(server)
            try await node.ready()
            let cases: [(arguments: [String], code: Int32, words: String)] = [
                (["tool", "logs", "zap", "--node", "me"], 69, "has no tool \"zap\""),
                (["tool", "logs", "zap"], 69, "no node in the mesh has a tool"),
                (["tool", "logs", "silent", "--node", "me"], 69, "logs: false"),
                (["tool", "logs", "whisper", "--node", "old"], 69, "its version is older"),
                (["tool", "logs", "whisper", "--node", "old", "-f"], 69, "it does not run"),
                (["logs", "--node", "old"], 69, "it does not run"),
                (["tool", "logs", "whisper", "--lines", "-1"], 64, "--lines"),
                (["tool", "logs", "whisper", "--since", "soon"], 64, "--since"),
                (["tool", "logs", "whisper", "--grep", ""], 64, "--grep"),
                (["tool", "logs", "whisper", "--node", ""], 64, "--node must not be empty"),
            ]
            for (arguments, code, words) in cases {
                let outcome = try await Command.run(arguments + ["--nats", server.url])
                #expect(outcome.code == code && outcome.output.isEmpty, "\(arguments): \(outcome)")
                #expect(outcome.error.contains(words), "\(arguments): \(outcome.error)")
                #expect(outcome.error.split(separator: "\n").count == 1, "\(arguments): \(outcome.error)")
            }
            try await node.end()
        }
    }

    @Test(arguments: NATSServers.all)
    func whoFollowsGetsEachLineOnceWhateverRestarts(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let node = try Node(server)
            try await node.ready()
            let follow = try Command(["tool", "logs", "whisper", "-f", "--json", "--nats", server.url])
            func numbers() -> [Int] {
                follow.output.split(separator: "\n").compactMap { try? EventData(json: String($0))["number"]?.int }
            }
            func runs() -> Int { follow.output.components(separatedBy: #""line":"ready""#).count - 1 }
            try await follow.waitForOutput("ready")
            #expect(try await node.run("tool", "restart", "whisper").code == 0)
            try await eventually("the second run") { runs() == 2 }
            await server.kill()
            try await Task.sleep(for: .milliseconds(200))
            try await server.restart()
            try await eventually("the tool to be restarted once more") {
                try await node.run("tool", "restart", "whisper", "--node", "me", "--timeout", "5s").code == 0
            }
            try await eventually("the run after the server's restart") { runs() >= 3 }
            let before = runs()
            node.serve.signal(SIGKILL)
            _ = try await node.serve.wait()
            try await follow.waitForError("waiting for it")
            try node.start()
            try await eventually("the run after the node's restart") { runs() > before }
            try await follow.waitForError("answers again")
            let found = numbers()
            #expect(found == Array(1...max(1, found.count)), "\(found)")
            follow.signal(SIGINT)
            #expect(try await follow.wait(within: .seconds(30)).code == 0)
            try await node.end()
        }
    }

    @Test(arguments: NATSServers.all)
    func operatorsReadLogsAndControlToolsAndObserversDoNeither(binary: NATSServers.Binary) async throws {
        let bench = try await AuthBench(binary, manifest: Self.chatty.replacing("node: me\n", with: ""))
        let path = ["--node", "me"]
        try await eventually("the log for an operator") {
            try await bench.run("operator", ["tool", "logs", "whisper"] + path).output.contains("loading")
        }
        #expect(try await bench.run("admin", ["tool", "logs", "whisper"] + path).output.contains("loading"))
        #expect(try await bench.run("operator", ["logs"] + path).output.contains("tool started"))
        #expect(try await bench.run("operator", ["tool", "restart", "whisper"] + path).code == 0)
        #expect(try await bench.run("operator", ["status"]).output.contains("whisper"))
        for user in ["observer", "tool"] {
            for command in [["tool", "logs", "whisper"], ["logs"]] {
                let refused = try await bench.run(user, command + path)
                #expect(refused.code == 69 && refused.output.isEmpty, "\(user): \(refused)")
                #expect(refused.error.contains("only operators and admins may"), "\(user): \(refused.error)")
            }
        }
        for command in [
            ["emit", "user.x", "--ack"], ["emit", "tool.crashed", "--ack"], ["stream", "purge", "--yes"],
        ] {
            #expect(try await bench.run("operator", command).code == 69, "\(command)")
        }
        try await bench.end()
    }
}
