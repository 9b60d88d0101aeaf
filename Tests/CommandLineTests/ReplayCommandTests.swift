import Foundation
import LocalNATSServer
import TestSupport
import Testing

@Suite struct ReplayCommandTests {
    /// Stores events numbered from `first`, each acknowledged.
    private func emit(_ numbers: Range<Int>, to server: LocalNATSServer) async throws {
        let lines = numbers.map { #"{"type":"\#($0 % 2 == 0 ? "user.even" : "tool.odd")","data":{"i":\#($0)}}"# + "\n" }
        let emit = try await Command.run(
            ["emit", "--from", "-", "--node", "n", "--nats", server.url],
            input: lines.joined()
        )
        #expect(emit.code == 0, "\(emit.error)")
    }

    private func numbers(_ output: String) -> [Int] {
        output.matches(of: #/"data":\{"i":(\d+)\},"sequence":/#).compactMap { Int($0.1) }
    }

    @Test(arguments: NATSServers.all)
    func whatIsStoredIsPrintedOldestFirst(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            try await emit(0..<30, to: server)
            func replay(_ arguments: [String]) async throws -> [Int] {
                let replay = try await Command.run(["replay", "--json", "--nats", server.url] + arguments)
                #expect(replay.code == 0, "\(replay.error)")
                return numbers(replay.output)
            }
            #expect(try await replay([]) == Array(0..<30))
            #expect(try await replay(["--from", "21"]) == Array(20..<30))
            #expect(try await replay(["--from", "31"]) == [])
            #expect(try await replay(["--from", "new"]) == [])
            #expect(try await replay(["--from", "1h", "--limit", "3"]) == [0, 1, 2])
            #expect(try await replay(["user.*", "--from", "25"]) == [24, 26, 28])
            #expect(try await replay(["user.even", "tool.*", "--from", "28"]) == [27, 28, 29])
            #expect(try await replay(["node.*"]) == [])
            #expect(try await replay(["--node", "other"]) == [])
            let rows = try await Command.run(["replay", "--limit", "2", "--nats", server.url])
            #expect(rows.lines.count == 2 && rows.output.contains("user.even"), "\(rows.output)")
        }
    }

    @Test func followingGoesOnOverAKillOfTheServer() async throws {
        let directory = try TemporaryDirectory()
        try await withServer(NATSServers.first, .init(storeDirectory: directory.path)) { server in
            try await emit(0..<10, to: server)
            let replay = try Command(["replay", "--follow", "--json", "--nats", server.url])
            try await replay.waitForError("new ones follow")
            #expect(numbers(replay.output) == Array(0..<10))
            try await emit(10..<15, to: server)
            try await eventually("the live events") { numbers(replay.output).count == 15 }
            await server.kill()
            try await server.restart()
            try await emit(15..<20, to: server)
            try await eventually("what came after the restart") {
                numbers(replay.output).count >= 20
            }
            #expect(numbers(replay.output) == Array(0..<20))
            replay.signal(SIGINT)
            #expect(try await replay.wait().code == 0)
        }
    }

    @Test func whatTheStreamHasDroppedIsSaid() async throws {
        try await withServer { server in
            // The default stream keeps 10 000.
            try await emit(0..<10_020, to: server)
            let replay = try await Command.run([
                "replay", "--from", "11", "--limit", "1", "--json", "--nats", server.url,
            ])
            #expect(numbers(replay.output) == [20])
            #expect(replay.error.contains("no longer has sequences 11 to 20"), "\(replay.error)")
        }
    }

    @Test func realTimeKeepsThePauses() async throws {
        try await withServer { server in
            try await emit(0..<1, to: server)
            try await Task.sleep(for: .milliseconds(1_500))
            try await emit(1..<2, to: server)
            func time(_ speed: String) async throws -> Duration {
                let start = ContinuousClock.now
                let replay = try await Command.run(["replay", "--json", "--speed", speed, "--nats", server.url])
                #expect(numbers(replay.output) == [0, 1], "\(replay.error)")
                return .now - start
            }
            let fast = try await time("max")
            #expect(try await time("real") > .milliseconds(1_500))
            #expect(try await time("0.5") > .milliseconds(3_000))
            let faster = try await time("1000")
            #expect(faster < fast + .milliseconds(1_000))
        }
    }

    @Test func readingCreatesNothingAndSaysSo() async throws {
        try await withServer { server in
            for command in ["replay", "export"] {
                let outcome = try await Command.run([command, "--nats", server.url])
                #expect(outcome.code == 0 && outcome.output.isEmpty)
                #expect(outcome.error.contains("no events are stored yet"), "\(outcome.error)")
                expectOneLine(outcome)
                let named = try await Command.run([command, "--stream", "OTHER", "--nats", server.url])
                #expect(named.code == 69 && named.error.contains("OTHER does not exist"), "\(named.error)")
            }
        }
    }

    @Test func withoutAStreamWhatComesIsShown() async throws {
        try await withServer { server in
            let replay = try Command(
                ["replay", "user.*", "tool.*", "--follow", "--limit", "2", "--json", "--nats", server.url]
            )
            try await replay.waitForError("live events are shown")
            for type in ["user.a", "node.left", "tool.started"] {
                #expect(try await Command.run(["emit", type, "--nats", server.url]).code == 0)
            }
            let outcome = try await replay.wait()
            #expect(outcome.code == 0 && outcome.lines.count == 2, "\(outcome.error)")
            #expect(outcome.lines.first?.contains("user.a") == true)
            #expect(outcome.lines.last?.contains("tool.started") == true)
        }
    }

    @Test(arguments: NATSServers.all)
    func withoutJetStreamWhatComesIsShown(binary: NATSServers.Binary) async throws {
        try await withServer(binary, .init(jetStream: false)) { server in
            let replay = try Command(["replay", "node.*", "--follow", "--limit", "1", "--json", "--nats", server.url])
            let status = try Command(["status", "--watch", "--nats", server.url])
            try await replay.waitForError("live events are shown")
            try await status.waitForError("JetStream")
            try await status.waitForOutput("no node or tool is known yet")
            let join = [
                "emit", "node.joined", "--node", "pi", "--data", #"{"capabilities":null}"#, "--nats", server.url,
            ]
            #expect(try await Command.run(join).code == 0)
            let outcome = try await replay.wait()
            #expect(outcome.code == 0 && outcome.lines.count == 1, "\(outcome.error)")
            try await status.waitForOutput("1 node: 1 online")
            status.signal(SIGINT)
            #expect(try await status.wait().code == 0)
            let once = try await Command.run(["status", "--nats", server.url])
            #expect(once.code == 69 && once.error.contains("JetStream"), "\(once.error)")
        }
    }

    @Test func whereAReplayCannotBeginIsAUsageError() async throws {
        try await withServer { server in
            try await emit(0..<3, to: server)
            for start in ["5", "99999999", "2200-01-01T00:00:00Z"] {
                let replay = try await Command.run(["replay", "--from", start, "--nats", server.url])
                #expect(replay.code == 64, "\(replay.error)")
                expectOneLine(replay)
            }
        }
    }

    @Test(arguments: [
        ["--from", "yesterday"], ["--from", ""], ["--from", "-1"], ["--from", "99999999999999999999"],
        ["--speed", "0"], ["--speed", "-1"], ["--speed", "fast"], ["--speed", "nan"], ["--limit", "0"],
        ["events.>.x"], ["a b"],
    ])
    func whatCannotBeUnderstoodIsAUsageError(arguments: [String]) async throws {
        let replay = try await Command.run(["replay", "--nats", "nats://127.0.0.1:1"] + arguments)
        #expect(replay.code == 64, "\(replay.error)")
        expectOneLine(replay)
    }
}
