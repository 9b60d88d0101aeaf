import Foundation
import LocalNATSServer
import MeshEvents
import TestSupport
import Testing

/// `mesh-events node`, and events that one node emits about another.
@Suite(.timeLimit(.minutes(3))) struct NodeCommandTests {
    private let story = [
        #"{"type":"node.joined","data":{"capabilities":null}}"#,
        #"{"type":"node.health","data":{"status":"online","resources":{"interval_s":3600}}}"#,
        #"{"type":"node.joined","node":"old","data":{"capabilities":null}}"#,
        #"{"type":"node.left","node":"old","data":{"reason":"shutdown"}}"#,
        #"{"type":"tool.stopped","node":"sick","data":{"tool":"t","reason":"gave up after 1","failed":true}}"#,
    ]

    /// The last event that is stored, without its time.
    private func last(_ server: LocalNATSServer) async throws -> String {
        let list = try await Command.run(["list", "--limit", "1", "--json", "--nats", server.url])
        let event = try EventData(json: list.output)
        return "\(event["type"]?.string ?? "") \(event["node"]?.string ?? "") \(event["data"]?.json ?? "")"
    }

    @Test func listsTheNodesThoseInTroubleFirst() async throws {
        try await withServer { server in
            let absent = try await Command.run(["node", "list", "--nats", server.url])
            #expect(absent.code == 69)
            expectOneLine(absent)
            try await Command.emit(story, to: server)
            let text = try await Command.run(["node", "list", "--nats", server.url])
            #expect(text.code == 0 && text.error.isEmpty)
            #expect(
                text.lines.first == "NODE  STATUS  SINCE   TOOLS" || text.lines.first == "NODE  STATUS  SINCE  TOOLS"
            )
            #expect(
                text.lines.dropFirst().map { $0.split(separator: " ").prefix(2).joined(separator: " ") } == [
                    "sick online", "old left", "pi online",
                ]
            )
            let json = try await Command.run(["node", "list", "--json", "--nats", server.url])
            let nodes = try json.lines.map { try EventData(json: $0) }
            #expect(nodes.map { $0["name"]?.string } == ["sick", "old", "pi"])
            for node in nodes {
                #expect(node.keys.sorted() == ["last_seen", "maintenance_until", "name", "since", "status"])
            }
            #expect(nodes[0]["since"]?.isNull == true && nodes[1]["status"]?.string == "left")
        }
    }

    @Test(arguments: NATSServers.all)
    func forgettingIsAnEvent(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            try await Command.emit(story, to: server)
            func forget(_ arguments: String...) async throws -> Command.Outcome {
                try await Command.run(["node", "forget", "--node", "desk", "--nats", server.url] + arguments)
            }
            let done = try await forget("old")
            #expect(done.code == 0 && done.error.isEmpty, "\(done.error)")
            #expect(done.output == "old is forgotten; it is known again when it emits an event\n")
            #expect(try await last(server) == #"node.forgotten desk {"node":"old"}"#)
            let online = try await forget("pi")
            #expect(online.code == 64 && online.output.isEmpty)
            #expect(online.error.contains("pi is online: it would come back with its next health event"))
            let unknown = try await forget("pie")
            #expect(unknown.code == 69 && unknown.error.contains("did you mean pi?"))
            #expect(try await forget("").code == 64)
            #expect(try await last(server) == #"node.forgotten desk {"node":"old"}"#)
            let forced = try await forget("pi", "--force")
            #expect(forced.output == "pi is forgotten, but it is online: its next health event brings it back\n")
            let json = try await forget("pie", "--force", "--json")
            #expect(try EventData(json: json.output)["data"]?.json == #"{"node":"pie"}"#)
        }
    }

    @Test func maintenanceIsAnEvent() async throws {
        try await withServer { server in
            try await Command.emit(story, to: server)
            func maintenance(_ arguments: String...) async throws -> Command.Outcome {
                try await Command.run(["node", "maintenance", "--node", "desk", "--nats", server.url] + arguments)
            }
            let begun = try await maintenance("pi", "--for", "2h", "--reason", "new disk")
            #expect(begun.code == 0 && begun.error.isEmpty, "\(begun.error)")
            #expect(
                begun.output.contains(
                    #/^pi is in maintenance until [-0-9 ]*[0-9]{2}:[0-9]{2}; it is not announced as unreachable meanwhile\n$/#
                ),
                "\(begun.output)"
            )
            #expect(try await last(server) == #"node.maintenance desk {"for_s":7200,"node":"pi","reason":"new disk"}"#)
            #expect(try await maintenance("old").code == 0)
            #expect(try await last(server) == #"node.maintenance desk {"for_s":3600,"node":"old"}"#)
            let ended = try await maintenance("pi", "--end")
            #expect(ended.output.hasPrefix("pi is no longer in maintenance"))
            #expect(try await last(server) == #"node.maintenance desk {"for_s":0,"node":"pi"}"#)
            // What was announced excuses the node.
            let lost = #"{"type":"node.health","node":"lost","data":{"resources":{"interval_s":0.01}}}"#
            try await Command.emit([lost], to: server)
            try await eventually("an unreachable node") {
                try await Command.run(["status", "lost", "--check", "--nats", server.url]).code == 2
            }
            #expect(try await maintenance("lost", "--reason", "new disk").code == 0)
            let status = try await Command.run(["status", "lost", "--check", "--nats", server.url])
            #expect(status.code == 0 && status.lines.first == "OK - lost is unreachable, in maintenance", "\(status)")
            #expect(status.output.contains(#/; in maintenance until [-0-9 ]*[0-9:]+: new disk\n/#), "\(status.output)")
            for nonsense in [
                ["--end", "--for", "1h"], ["--end", "--reason", "x"], ["--for", "0s"], ["--for", "91d"],
            ] {
                let outcome = try await Command.run(["node", "maintenance", "pi", "--nats", server.url] + nonsense)
                #expect(outcome.code == 64, "\(nonsense) \(outcome.error)")
                expectOneLine(outcome)
            }
            #expect(try await maintenance("pj").code == 69)
        }
    }

    // MARK: --node

    private let reports = [
        #"{"type":"node.joined","data":{"capabilities":null}}"#,
        #"{"type":"user.note","node":"keeper","data":{"node":"pi"}}"#,
        #"{"type":"node.unreachable","node":"keeper","data":{"node":"pi","missed":3}}"#,
        #"{"type":"node.unreachable","node":"pi","data":{"node":"lab","missed":3}}"#,
        #"{"type":"node.recovered","node":"keeper","data":{"node":"pi"}}"#,
        #"{"type":"node.maintenance","node":"desk","data":{"node":"pi","for_s":60}}"#,
        #"{"type":"node.forgotten","node":"desk","data":{"node":"pi"}}"#,
    ]
    private let aboutPi = ["node.joined", "node.unreachable", "node.recovered", "node.maintenance", "node.forgotten"]

    private func types(_ lines: [String]) throws -> [String] {
        try lines.map { try EventData(json: $0)["type"]?.string ?? "" }
    }

    @Test(arguments: NATSServers.all)
    func filtersByNodeTakeTheNodeThatAnEventIsAbout(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        try await withServer(binary) { server in
            let watch = try Command(["watch", "--node", "pi", "--json", "--limit", "5", "--nats", server.url])
            try await watch.waitForError("watching")
            try await Command.emit(reports, to: server)
            #expect(try types(try await watch.wait().lines) == aboutPi)
            for command in [["list"], ["replay"], ["export", "--out", "-"]] {
                let outcome = try await Command.run(
                    command + ["--node", "pi", "--nats", server.url] + (command[0] == "export" ? [] : ["--json"])
                )
                #expect(try types(outcome.lines) == aboutPi, "\(command): \(outcome.error)")
            }
            let keeper = try await Command.run(["list", "--node", "keeper", "--json", "--nats", server.url])
            #expect(try types(keeper.lines) == ["user.note"])
            let waited = try await Command.run([
                "wait-for", "node.unreachable", "--node", "lab", "--since", "1h", "--json", "--nats", server.url,
            ])
            #expect(waited.code == 0 && waited.output.contains(#""node":"pi""#), "\(waited.error)")
            let on = try Command([
                "on", "node.unreachable", "--durable", "d", "--nats", server.url, "--", "sh", "-c",
                #"echo "$MESH_EVENT_NODE $MESH_EVENT_ABOUT" >>"# + "\(directory.path)/out",
            ])
            try await eventually("both commands") {
                (try? directory.text(of: "out")) == "keeper pi\npi lab\n"
            }
            on.signal(SIGTERM)
            #expect(try await on.wait().code == 0)
        }
    }
}
