import Foundation
import LocalNATSServer
import MeshEvents
import Synchronization
import TestSupport
import Testing

/// `status NODE`, `status NODE/TOOL` and `status --check` on real servers.
@Suite(.timeLimit(.minutes(3))) struct StatusDetailCommandTests {
    private let story = [
        #"{"type":"node.joined","data":{"capabilities":{"version":"1.2.0","os":"linux"}}}"#,
        #"{"type":"node.health","data":{"status":"online","resources":{"cpu":0.5,"interval_s":3600}}}"#,
        #"{"type":"tool.installed","data":{"tool":"whisper","version":"v1"}}"#,
        #"{"type":"tool.started","data":{"tool":"whisper"}}"#,
        #"{"type":"tool.crashed","data":{"tool":"whisper","error":"exited with code 3","restart_count":1}}"#,
        #"{"type":"tool.started","data":{"tool":"whisper"}}"#,
        #"{"type":"tool.started","data":{"tool":"steady"}}"#,
        #"{"type":"node.joined","node":"a/b","data":{"capabilities":null}}"#,
        #"{"type":"tool.started","node":"a/b","data":{"tool":"c"}}"#,
        #"{"type":"node.unreachable","node":"keeper","data":{"node":"pi","missed":3,"tools":[]}}"#,
        #"{"type":"node.recovered","node":"keeper","data":{"node":"pi","away_s":40}}"#,
    ]

    @Test(arguments: NATSServers.all)
    func showsANodeOrAToolInDetail(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            try await Command.emit(story, to: server)
            func run(_ arguments: String...) async throws -> Command.Outcome {
                try await Command.run(["status"] + arguments + ["--nats", server.url])
            }
            let node = try await run("pi")
            #expect(node.code == 0 && node.error.isEmpty, "\(node.error)")
            #expect(node.lines.first == "Node       pi")
            #expect(node.output.contains("\nStatus     online; last seen "))
            #expect(node.output.contains("\nVersion    1.2.0\n"))
            #expect(node.output.contains("\nRestarts   1 in total, 1 in the last hour\n"))
            #expect(node.output.contains(#/\nwhisper +v1 +running .* 1, 1 in 1h  crashed/#))
            // The last five, without health: those before them are not shown.
            let events = node.lines.drop { !$0.hasPrefix("WHEN") }.dropFirst()
            let types = ["tool.crashed", "tool.started", "tool.started", "node.unreachable", "node.recovered"]
            #expect(
                events.map { $0.split(separator: " ").first { $0.contains(".") } } == types.map { Substring($0) },
                "\(node.output)"
            )
            #expect(events.last?.hasSuffix("away_s=40  from keeper") == true, "\(node.output)")

            let tool = try await run("pi/whisper")
            #expect(tool.code == 0 && tool.lines.first == "Tool      whisper", "\(tool.error)")
            #expect(tool.output.contains("\nStatus    running, since "))
            #expect(tool.output.contains("\nError     exited with code 3 ("))
            #expect(!tool.output.contains("steady") && tool.output.contains("tool.installed"))
            #expect(try await run("a/b").lines.first == "Node      a/b")
            #expect(try await run("a/b/c").lines.first == "Tool      c")
            #expect(try await run("a/b", "--tool", "c").lines.first == "Tool      c")

            let json = try await run("pi/whisper", "--json")
            #expect(json.lines.count == 1)
            let detail = try EventData(json: json.output)
            #expect(detail["tool"]?["state"]?.string == "running" && detail["restarts_last_hour"]?.int == 1)
            #expect(detail["events"]?.array?.map { $0["sequence"]?.int } == [3, 4, 5, 6])

            let unknown = try await run("pj")
            #expect(unknown.code == 69 && unknown.output.isEmpty)
            #expect(unknown.error == "mesh-events: nothing is known of a node \"pj\"; did you mean pi?\n")
            let noTool = try await run("pi/wisper", "--json")
            #expect(noTool.code == 69 && noTool.output.isEmpty && noTool.error.contains("did you mean whisper?"))
            for outcome in [unknown, noTool] { expectOneLine(outcome) }
        }
    }

    @Test(arguments: NATSServers.all)
    func theOutputOfALastCrashLongAgoIsFound(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            func crash(_ tool: String, _ line: String) -> String {
                #"{"type":"tool.crashed","data":{"tool":"\#(tool)","error":"no","output":["\#(line)"],"restart_count":1}}"#
            }
            let later = #"{"type":"tool.configured","data":{"tool":"whisper","config":null}}"#
            let events =
                [crash("whisper", "CUDA out of memory"), crash("steady", "other")] + Array(repeating: later, count: 9)
            try await Command.emit([story[0]] + events, to: server)
            let text = try await Command.run(["status", "pi/whisper", "--nats", server.url])
            #expect(text.output.contains("\nOutput    CUDA out of memory\n"), "\(text.output)")
            let json = try await Command.run(["status", "pi/whisper", "--json", "--nats", server.url])
            #expect(json.output.contains(#""crash_output":["CUDA out of memory"]"#), "\(json.output)")
            let node = try await Command.run(["status", "pi", "--nats", server.url])
            #expect(!node.output.contains("CUDA"), "\(node.output)")
        }
    }

    @Test(arguments: NATSServers.all)
    func aCheckSaysWhatIsWrongAndEndsWithIt(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            func check(_ arguments: String...) async throws -> (code: Int32, line: String?, error: String) {
                let outcome = try await Command.run(["status", "--check", "--nats", server.url] + arguments)
                return (outcome.code, outcome.lines.first, outcome.error)
            }
            let empty = try await check()
            #expect(empty.code == 69 && empty.line == nil && empty.error.contains("no node is known"))
            try await Command.emit(story, to: server)
            let well = try await check()
            #expect(well.code == 0 && well.line == "OK - 2 nodes: 2 online; 3 tools: 3 running", "\(well)")
            #expect(try await check("pi/steady").line == "OK - pi/steady is running")
            try await Command.emit(
                [#"{"type":"tool.crashed","data":{"tool":"whisper","error":"no","restart_count":2}}"#],
                to: server
            )
            let degraded = try await check()
            #expect(degraded.code == 1 && degraded.line == "WARNING - pi/whisper is backing off: no", "\(degraded)")
            #expect(degraded.error.isEmpty)
            let stop = #"{"type":"tool.stopped","data":{"tool":"whisper","reason":"gave up after 2","failed":true}}"#
            try await Command.emit([stop], to: server)
            let failed = try await check("pi")
            #expect(failed.code == 2 && failed.line == "CRITICAL - pi/whisper has failed: no", "\(failed)")
            #expect(try await check("a/b").code == 0)
            #expect(try await check("x").code == 69)
            let quiet = try await check("--quiet")
            #expect(quiet.code == 2 && quiet.line == nil && quiet.error.isEmpty)
            // In JSON there is nothing but the line of JSON.
            let json = try await check("--json")
            #expect(json.code == 2 && (json.line?.hasPrefix("{") ?? false))
            let whole = try await Command.run(["status", "--check", "--nats", server.url])
            let plain = try await Command.run(["status", "--nats", server.url])
            #expect(whole.lines.dropFirst().first == plain.lines.first && whole.lines.count == plain.lines.count + 1)
        }
        let away = try await Command.run(["status", "--check", "--nats", "nats://127.0.0.1:1"])
        #expect(away.code == 69)
        expectOneLine(away)
    }

    /// A script must not take an interrupted check for a good one.
    @Test func anInterruptedCheckIsNoGoodOne() async throws {
        try await withServer { server in
            let port = try #require(server.url.split(separator: ":").last.flatMap { Int($0) })
            let hasAsked = Atomic(false)
            let proxy = try await MessageLossProxy.start(before: port) { subject, _ in
                guard subject.hasPrefix("_INBOX.") else { return false }
                hasAsked.store(true, ordering: .relaxed)
                return true
            }
            let check = try Command(["status", "--check", "--nats", proxy.url])
            try await eventually("a question to the stream") { hasAsked.load(ordering: .relaxed) }
            check.signal(SIGTERM)
            let outcome = try await check.wait()
            #expect(outcome.code == 69 && outcome.error.contains("interrupted"), "\(outcome)")
        }
    }

    @Test func watchingShowsTheDetailAgainWhenItChanges() async throws {
        try await withServer { server in
            try await Command.emit(story, to: server)
            let text = try Command(["status", "pi/whisper", "--watch", "--nats", server.url])
            let json = try Command(["status", "pi", "--watch", "--json", "--nats", server.url])
            let later = try Command(["status", "later", "--watch", "--nats", server.url])
            try await text.waitForOutput("Tool      whisper")
            try await json.waitForOutput("whisper")
            try await later.waitForOutput("nothing is known of a node \"later\"")
            try await Command.emit([#"{"type":"tool.crashed","data":{"tool":"whisper","error":"killed"}}"#], to: server)
            try await text.waitForOutput(#"whisper  error=killed"#)
            try await json.waitForOutput(#""data":{"tool":"whisper","error":"killed"}"#)
            try await Command.emit([#"{"type":"node.joined","node":"later","data":{"capabilities":null}}"#], to: server)
            try await later.waitForOutput("Node    later")
            for line in json.output.split(separator: "\n") { _ = try EventData(json: String(line)) }
            for command in [text, json, later] {
                command.signal(SIGINT)
                #expect(try await command.wait().code == 0)
            }
        }
    }

    @Test func onANarrowTerminalTheDetailIsDrawnInPlace() async throws {
        try await withServer { server in
            try await Command.emit(story, to: server)
            let terminal = try PseudoTerminal(width: 60)
            let watch = try Command(
                ["status", "pi", "--watch", "--nats", server.url],
                environment: ["TERM": "xterm"],
                terminal: terminal
            )
            try await eventually("the first picture") { terminal.text().contains("whisper") }
            try await Command.emit([#"{"type":"tool.stopped","data":{"tool":"whisper","reason":"nap"}}"#], to: server)
            try await eventually("the second picture") { terminal.text().contains("reason=nap") }
            #expect(terminal.plainLines().allSatisfy { $0.count <= 60 })
            watch.signal(SIGINT)
            #expect(try await watch.wait().code == 0)
        }
    }

    /// Many events of other nodes lie over those of the node: the reading is bounded, and says that it ended.
    @Test(arguments: NATSServers.all)
    func amongManyEventsOfOthersTheReadingEnds(binary: NATSServers.Binary) async throws {
        let count = 34_000
        try await withServer(binary) { server in
            func run(_ arguments: String...) async throws -> Command.Outcome {
                try await Command.run(arguments + ["--nats", server.url])
            }
            #expect(try await run("stream", "create").code == 0)
            #expect(try await run("stream", "update", "--max-messages", "\(2 * count)").code == 0)
            try await Command.emit(story, to: server)
            let lines = (0..<count).map {
                #"{"type":"tool.started","node":"other-\#($0 % 50)","data":{"tool":"t"}}"#
            }
            try await Command.emit(lines, to: server)
            let before = ContinuousClock.now
            let status = try await run("status", "pi")
            let all = ContinuousClock.now - before
            #expect(status.code == 0 && status.error.isEmpty, "\(status.error)")
            #expect(
                status.output.contains("No events about the node and its tools are among the newest"),
                "\(status.output)"
            )
            #expect(status.output.contains("1 in total, at least 0 in the last hour"), "\(status.output)")
            let plain = ContinuousClock.now
            #expect(try await run("status").code == 0)
            // Two readings, each of two seconds at most and the page that is read then.
            #expect(all - (ContinuousClock.now - plain) < .seconds(10), "\(all)")
            #expect(try await run("status", "other-7").output.contains("tool.started"))
        }
    }
}
