import Foundation
import LocalNATSServer
import MeshEvents
import TestSupport
import Testing

@Suite struct StatusTests {
    /// Stores events, each acknowledged.
    private let story = [
        #"{"type":"node.joined","data":{"capabilities":{"tools":1}}}"#,
        #"{"type":"tool.installed","data":{"tool":"whisper","version":"v1"}}"#,
        #"{"type":"tool.started","data":{"tool":"whisper"}}"#,
        #"{"type":"user.noise","data":{"a":1}}"#,
        #"{"type":"node.joined","node":"lab","data":{"capabilities":null}}"#,
        #"{"type":"node.left","node":"lab","data":{"reason":"shutdown"}}"#,
    ]

    @Test(arguments: NATSServers.all)
    func showsNodesAndTools(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            try await Command.emit(story, to: server)
            let status = try await Command.run(["status", "--nats", server.url])
            #expect(status.code == 0, "\(status.error)")
            let notice = "what the stream has dropped is not known: the state of this mesh is not saved"
            #expect(status.error.hasPrefix("mesh-events: \(notice)") && status.error.split(separator: "\n").count == 1)
            #expect(status.lines.first == "2 nodes: 1 online, 1 left; 1 tool: 1 running")
            #expect(status.output.contains(#/\nlab   left    .*  shutdown\n/#))
            #expect(status.output.contains(#/\npi    online  .*  1/1\n/#))
            #expect(status.output.contains("\npi    whisper  v1       running  "))
            let one = try await Command.run(["status", "--node", "lab", "--nats", server.url])
            #expect(one.lines.first == "1 node: 1 left; 0 tools" && !one.output.contains("whisper"))
            let none = try await Command.run(["status", "--node", "x", "--nats", server.url])
            #expect(none.code == 0 && none.output == "nothing is known of a node \"x\"\n")
        }
    }

    @Test func jsonIsALineWithStableKeys() async throws {
        try await withServer { server in
            try await Command.emit(story, to: server)
            let status = try await Command.run(["status", "--json", "--nats", server.url])
            #expect(status.lines.count == 1)
            let json = try EventData(json: status.output)
            #expect(json.keys.sorted() == ["alert_watcher", "alerts", "left_out", "nodes", "summary", "time"])
            let nodes = (json["nodes"]?.array ?? []).compactMap(\.data)
            #expect(nodes.map { $0["name"]?.string } == ["lab", "pi"])
            #expect(nodes.last?["tools"]?.array?.first?.data?["state"]?.string == "running")
            #expect(json["summary"]?.data?["running"]?.int == 1)
        }
    }

    @Test func anEmptyMeshAndOneThatKeepsNothingSaySo() async throws {
        try await withServer { server in
            let absent = try await Command.run(["status", "--nats", server.url])
            #expect(absent.code == 0 && absent.output.hasPrefix("no node or tool is known yet"), "\(absent.output)")
            #expect(absent.error.contains("no events are stored yet"), "\(absent.error)")
            expectOneLine(absent)
            let time = try await Command.run(["status", "--json", "--nats", server.url])
            #expect(!time.output.contains("1970") && time.output.contains(#""nodes":[]"#), "\(time.output)")
            try await Command.emit([#"{"type":"user.a"}"#], to: server)
            let empty = try await Command.run(["status", "--nats", server.url])
            #expect(empty.code == 0 && empty.output.hasPrefix("no node or tool is known yet"), "\(empty.output)")
            let json = try await Command.run(["status", "--json", "--nats", server.url])
            #expect(json.output.contains(#""nodes":[]"#))
        }
    }

    @Test(arguments: NATSServers.all)
    func watchingAMeshThatKeepsNothingShowsWhatComesAndGoesOnWithWhatIsKept(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let watch = try Command(["status", "--watch", "--nats", server.url])
            try await watch.waitForOutput("no node or tool is known yet")
            try await watch.waitForError("no events are stored yet")
            func join(_ node: String, _ arguments: [String]) async throws {
                let joined = ["emit", "node.joined", "--node", node, "--data", #"{"capabilities":null}"#]
                #expect(try await Command.run(joined + arguments + ["--nats", server.url]).code == 0)
            }
            try await join("pi", [])
            try await watch.waitForOutput("1 node: 1 online")
            try await watch.waitForOutput("pi")
            try await join("lab", ["--ack"])
            try await watch.waitForOutput("lab")
            try await join("third", ["--ack"])
            try await watch.waitForOutput("third")
            watch.signal(SIGINT)
            let end = try await watch.wait()
            #expect(end.code == 130 || end.code == 0, "\(end.code) \(end.error)")
            expectOneLine(end)
        }
    }

    @Test func watchingPrintsTheStatusAgainWhenItChanges() async throws {
        let directory = try TemporaryDirectory()
        try await withServer(NATSServers.first, .init(storeDirectory: directory.path)) { server in
            try await Command.emit(story, to: server)
            let text = try Command(["status", "--watch", "--nats", server.url])
            let json = try Command(["status", "--watch", "--json", "--nats", server.url])
            try await text.waitForOutput("whisper")
            try await json.waitForOutput("whisper")
            try await Command.emit([#"{"type":"tool.crashed","data":{"tool":"whisper","error":"killed"}}"#], to: server)
            try await text.waitForOutput("killed")
            try await json.waitForOutput("killed")
            #expect(text.output.contains("\n\n2 nodes: 1 online, 1 left; 1 tool: 1 backing off\n"))
            await server.kill()
            try await text.waitForError("connection is lost")
            try await server.restart()
            try await Command.emit([#"{"type":"node.joined","node":"new","data":{"capabilities":null}}"#], to: server)
            try await text.waitForOutput("3 nodes")
            try await json.waitForOutput(#""name":"new""#)
            for line in json.output.split(separator: "\n") { _ = try EventData(json: String(line)) }
            for command in [text, json] {
                command.signal(SIGINT)
                #expect(try await command.wait().code == 0)
            }
        }
    }

    @Test func aNodeThatFallsSilentBecomesUnreachable() async throws {
        try await withServer { server in
            try await Command.emit(
                [#"{"type":"node.health","data":{"status":"online","resources":{"interval_s":0.5}}}"#],
                to: server
            )
            let watch = try Command(["status", "--watch", "--nats", server.url])
            try await watch.waitForOutput("1 unreachable")
            watch.signal(SIGTERM)
            #expect(try await watch.wait().code == 0)
        }
    }

    @Test func onATerminalItIsDrawnInPlace() async throws {
        try await withServer { server in
            try await Command.emit(story, to: server)
            let terminal = try PseudoTerminal(width: 60)
            let watch = try Command(
                ["status", "--watch", "--nats", server.url],
                environment: ["TERM": "xterm"],
                terminal: terminal
            )
            try await eventually("the first picture") { terminal.text().contains("whisper") }
            try await Command.emit([#"{"type":"tool.stopped","data":{"tool":"whisper","reason":"nap"}}"#], to: server)
            try await eventually("the second picture") { terminal.text().contains("nap") }
            #expect(terminal.text().components(separatedBy: "\u{1B}[2J").count == 2)
            #expect(terminal.text().components(separatedBy: "\u{1B}[H").count >= 3)
            #expect(terminal.plainLines().allSatisfy { $0.count <= 60 })
            watch.signal(SIGINT)
            #expect(try await watch.wait().code == 0)
        }
    }

    @Test(arguments: [
        ["--node", ""], ["x", "y"], ["--timeout", "1s"], ["x", "--node", "y"], ["--tool", "x"], [""],
        ["x", "--tool", ""],
        ["--quiet"], ["--check", "--watch"], ["x", "--check", "--watch"],
    ])
    func nonsenseIsAUsageError(arguments: [String]) async throws {
        let status = try await Command.run(["status", "--nats", "nats://127.0.0.1:1"] + arguments)
        #expect(status.code == 64, "\(status.error)")
        expectOneLine(status)
    }

    @Test func noServer() async throws {
        let status = try await Command.run(["status", "--nats", "nats://127.0.0.1:1"])
        #expect(status.code == 69)
        expectOneLine(status)
    }
}
