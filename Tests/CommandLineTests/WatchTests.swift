import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import NIOCore
import TestSupport
import Testing

@Suite struct WatchTests {
    private func emit(_ arguments: [String], to url: String) async throws {
        let outcome = try await Command.run(["emit", "--nats", url] + arguments)
        #expect(outcome.code == 0, "\(outcome.error)")
    }

    @Test(arguments: NATSServers.all)
    func printsWhatMatchesAndEndsAtTheLimit(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let watch = try Command(["watch", "tool.*", "--limit", "2", "--json", "--nats", server.url])
            try await watch.waitForError("watching events.tool.* on \(server.url)")
            try await emit(["user.other"], to: server.url)
            try await emit(["tool.started", "tool=a", "--node", "pi"], to: server.url)
            try await emit(["tool.stopped", "tool=a", "--node", "pi"], to: server.url)
            let outcome = try await watch.wait()
            #expect(outcome.code == 0)
            #expect(outcome.lines.count == 2)
            #expect(outcome.lines.first?.hasPrefix(#"{"type":"tool.started","node":"pi","timestamp":""#) == true)
            #expect(outcome.lines.first?.hasSuffix(#"Z","data":{"tool":"a"}}"#) == true)
        }
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func endsAtOnceWithZeroOnASignal(signal: Int32) async throws {
        try await withServer { server in
            let watch = try Command(["watch", "--nats", server.url])
            try await watch.waitForError("watching")
            watch.signal(signal)
            let outcome = try await watch.wait(within: .seconds(3))
            #expect(outcome.code == 0)
            #expect(outcome.lines.isEmpty)
        }
    }

    @Test func membersOfAQueueShareTheEvents() async throws {
        try await withServer { server in
            let watchers = try (1...2).map { _ in
                try Command(["watch", "--queue", "workers", "--json", "--nats", server.url])
            }
            for watcher in watchers { try await watcher.waitForError("watching") }
            let lines = String(repeating: #"{"type":"user.job"}"# + "\n", count: 100)
            #expect(try await Command.run(["emit", "--from", "-", "--nats", server.url], input: lines).code == 0)
            func counts() -> [Int] { watchers.map { $0.output.split(separator: "\n").count } }
            try await eventually("100 events") { counts().reduce(0, +) >= 100 }
            for watcher in watchers { watcher.signal(SIGINT) }
            for watcher in watchers { #expect(try await watcher.wait().code == 0) }
            #expect(counts().reduce(0, +) == 100)
            #expect(counts().allSatisfy { $0 > 0 })
        }
    }

    @Test func rawIsWhatCame() async throws {
        try await withServer { server in
            let watch = try Command(["watch", "--raw", "--limit", "3", "--nats", server.url])
            try await watch.waitForError("watching")
            let payloads = [
                #"{ "type":"user.a","node":"go","timestamp":"2026-11-24T10:04:34.5+01:00","more":1,"data":{"x":"\u003c"} }"#,
                "no event", #"{"type":"user.a","data":{"n":1e400}}"#,
            ]
            let connection = try await connect(server)
            for payload in payloads { try connection.publish(ByteBuffer(string: payload), to: "events.user.a") }
            try await connection.flush()
            let outcome = try await watch.wait()
            #expect(outcome.code == 0)
            #expect(outcome.lines == payloads)
            await connection.close()
            for other in [["--json"], ["--node", "go"], ["--format", "cloudevents"]] {
                let refused = try await Command.run(["watch", "--raw", "--nats", server.url] + other)
                #expect(refused.code == 64 && refused.error.contains("--raw"), "\(refused.error)")
            }
        }
    }

    @Test func onlyEventsOfANode() async throws {
        try await withServer { server in
            let watch = try Command(["watch", "--node", "b", "--limit", "1", "--json", "--nats", server.url])
            try await watch.waitForError("watching")
            try await emit(["user.x", "--node", "a"], to: server.url)
            try await emit(["user.x", "--node", "b"], to: server.url)
            let outcome = try await watch.wait()
            #expect(outcome.lines.count == 1 && outcome.output.contains(#""node":"b""#))
        }
    }

    @Test(arguments: NATSServers.all)
    func aServerThatTakesNoMoreSubscriptionsIsNotWatchedInSilence(binary: NATSServers.Binary) async throws {
        try await withServer(binary, .init(extraConfiguration: "max_subscriptions: 1")) { server in
            let watch = try await Command.run(["watch", "--limit", "1", "--nats", server.url])
            #expect(watch.code == 69 && !watch.error.contains("watching"), "\(watch.error)")
            #expect(watch.error.lowercased().contains("maximum subscriptions exceeded"), "\(watch.error)")
        }
    }

    @Test func comesBackWhenTheServerDoes() async throws {
        try await withServer { server in
            let watch = try Command(["watch", "--limit", "1", "--json", "--nats", server.url])
            try await watch.waitForError("watching")
            await server.kill()
            try await watch.waitForError("connection is lost")
            try await server.restart()
            try await watch.waitForError("connected again to \(server.url)")
            try await emit(["user.after"], to: server.url)
            let outcome = try await watch.wait()
            #expect(outcome.code == 0)
            #expect(outcome.output.contains("user.after"))
        }
    }

    @Test func endsQuietlyWhenItsReaderGoes() async throws {
        try await withServer { server in
            let mesh = try BuildProducts.executable("mesh-events")
            let directory = try TemporaryDirectory()
            let script = try directory.script(
                "pipe",
                "{ '\(mesh)' watch --json --nats \(server.url) 2>'\(directory.path)/error'; echo $? >'\(directory.path)/code'; } | head -n 1 >'\(directory.path)/first'"
            )
            let process = try SpawnedProcess(script)
            try await eventually("the watch to begin") {
                (try? directory.text(of: "error"))?.contains("watching") == true
            }
            // One event only: that its reader has gone must be noticed without another.
            try await emit(["user.first"], to: server.url)
            try await eventually("the pipeline to end") { !process.isRunning }
            #expect(try directory.text(of: "first").contains("user.first"))
            #expect(try directory.text(of: "code") == "0\n")
            #expect(try directory.text(of: "error").split(separator: "\n").count == 1)
        }
    }

    /// More than a subscription keeps by itself, sent faster than it can be printed.
    @Test func aBurstIsPrintedWhole() async throws {
        try await withServer { server in
            let count = 120_000
            let watch = try Command(["watch", "--json", "--limit", "\(count)", "--nats", server.url])
            try await watch.waitForError("watching")
            let bus = EventBus(transport: NATSTransport(try await connect(server)), node: "n")
            try await bus.emit(contentsOf: (1...count).map { Event("user.burst", data: ["n": .init($0)]) })
            try await bus.flush()
            let outcome = try await watch.wait(within: .seconds(120))
            #expect(outcome.code == 0)
            #expect(outcome.lines.count == count)
            #expect(outcome.lines.first?.hasSuffix(#""data":{"n":1}}"#) == true)
            #expect(outcome.lines.last?.hasSuffix(#""data":{"n":\#(count)}}"#) == true)
            #expect(!outcome.error.contains("not shown"), "\(outcome.error)")
            await bus.close()
        }
    }

    @Test func aReaderThatStallsCannotKeepItFromEnding() async throws {
        try await withServer { server in
            let mesh = try BuildProducts.executable("mesh-events")
            let pipe = Pipe()
            let directory = try TemporaryDirectory()
            let process = try SpawnedProcess(
                mesh,
                ["watch", "--json", "--nats", server.url],
                output: pipe.fileHandleForWriting,
                error: try directory.outputFile("error")
            )
            try await eventually("the watch to begin") { try directory.text(of: "error").contains("watching") }
            let line = #"{"type":"user.a","data":{"x":"\#(String(repeating: "x", count: 1_000))"}}"# + "\n"
            let emit = try await Command.run(
                ["emit", "--from", "-", "--nats", server.url],
                input: String(repeating: line, count: 500)
            )
            #expect(emit.code == 0)
            process.signal(SIGTERM)
            try await eventually("the watch to end") { !process.isRunning }
            #expect(process.code == 0)
            _ = pipe
        }
    }

    @Test func aTerminalGetsColoursAndRowsThatFit() async throws {
        try await withServer { server in
            for (environment, isColored) in [(["TERM": "xterm"], true), (["TERM": "xterm", "NO_COLOR": "1"], false)] {
                let terminal = try PseudoTerminal(width: 72)
                let watch = try Command(
                    ["watch", "--limit", "1", "--nats", server.url],
                    environment: environment,
                    terminal: terminal
                )
                try await eventually("the watch to begin") { terminal.text().contains("watching") }
                try await emit(
                    ["tool.crashed", "error=" + String(repeating: "x", count: 300), "--node", "n\u{1B}[2Jn"],
                    to: server.url
                )
                #expect(try await watch.wait().code == 0)
                let row = try #require(terminal.plainLines().last)
                #expect(row.count == 72)
                #expect(row.hasSuffix("…"))
                #expect(row.contains(#"n\u001b[2Jn"#))
                #expect(!terminal.text().contains("\u{1B}[2J"))
                #expect(terminal.text().contains("\u{1B}[") == isColored)
            }
        }
    }

    @Test func jsonOnATerminalIsTheSameJSONWithoutWhatCouldHarmIt() async throws {
        try await withServer { server in
            let terminal = try PseudoTerminal(width: 72)
            let watch = try Command(["watch", "--json", "--limit", "1", "--nats", server.url], terminal: terminal)
            try await eventually("the watch to begin") { terminal.text().contains("watching") }
            try await emit(["user.a", "x=\u{202E}\u{9B}31m" + String(repeating: "y", count: 100)], to: server.url)
            #expect(try await watch.wait().code == 0)
            let line = try #require(terminal.plainLines().last)
            #expect(line.hasSuffix(#""data":{"x":"\u202e\u009b31m"# + String(repeating: "y", count: 100) + #""}}"#))
        }
    }

    @Test func nothingIsColouredOrCutInAPipe() async throws {
        try await withServer { server in
            let watch = try Command(
                ["watch", "--limit", "1", "--nats", server.url],
                environment: ["TERM": "xterm", "COLUMNS": "40"]
            )
            try await watch.waitForError("watching")
            try await emit(["user.a", "x=" + String(repeating: "x", count: 500)], to: server.url)
            let outcome = try await watch.wait()
            #expect(!outcome.output.contains("\u{1B}"))
            #expect(outcome.output.contains(String(repeating: "x", count: 500)))
        }
    }

    @Test(arguments: [["--limit", "0"], ["events.>.x"], ["a b"], ["--queue", "a b"], ["--queue", ""]])
    func whatCannotBeUnderstoodIsAUsageError(arguments: [String]) async throws {
        try await withServer { server in
            let outcome = try await Command.run(["watch", "--nats", server.url] + arguments)
            #expect(outcome.code == 64, "\(outcome.error)")
            expectOneLine(outcome)
        }
    }
}
