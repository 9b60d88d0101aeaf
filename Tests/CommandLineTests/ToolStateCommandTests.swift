import Foundation
import LocalNATSServer
import MeshEvents
import TestSupport
import Testing

/// `serve` and `status` on a server that keeps few events.
@Suite(.timeLimit(.minutes(3))) struct ToolStateCommandTests {
    private static let manifest = """
        node: me
        health: {interval: 200ms}
        tools:
          - name: steady
            version: "1.0.0"
            command: [sleep, "600"]
          - name: broken
            version: "2.0.0"
            command: [sh, -c, "exit 3"]
            restart: never

        """

    @Test(arguments: NATSServers.all)
    func whatRunsIsKnownWithoutTheEventsOfTools(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        try await withServer(binary) { server in
            func run(_ arguments: String...) async throws -> Command.Outcome {
                try await Command.run(arguments + ["--nats", server.url])
            }
            #expect(try await run("stream", "create", "--no-archive").code == 0)
            #expect(try await run("stream", "update", "--max-messages", "20").code == 0)
            let manifest = try directory.file("mesh.yaml", Self.manifest)
            let serve = try Command(["serve", "--no-archive", "--config", manifest, "--nats", server.url])
            func tools() async throws -> [String] {
                let status = try await run("status", "--json")
                #expect(status.code == 0, "\(status.error)")
                let json = try EventData(json: status.output).value
                return (json["nodes"]?[0]?["tools"]?.array ?? []).map { tool in
                    ["name", "version", "state", "last_error"].map { tool[$0]?.string ?? "-" }.joined(separator: " ")
                }
            }
            let expected = ["broken 2.0.0 failed exited with code 3", "steady 1.0.0 running -"]
            try await eventually("the tools' events to be dropped") {
                let isKnown = try await tools() == expected
                let events = try await run("list", "tool.*")
                return isKnown && events.output.isEmpty
            }
            #expect(try await tools() == expected)
            #expect(try await run("stream", "purge", "--yes").code == 0)
            try await eventually("the next health event") { try await !run("list", "node.health").output.isEmpty }
            #expect(try await tools() == expected)
            let text = try await run("status")
            #expect(text.lines.first == "1 node: 1 online; 2 tools: 1 running, 1 failed", "\(text.output)")
            #expect(text.output.contains("exited with code 3") && text.output.contains(" 1/2 "), "\(text.output)")
            serve.signal(SIGTERM)
            let outcome = try await serve.wait(within: .seconds(30))
            #expect(outcome.code == 0, "\(outcome.error)")
        }
    }

    @Test func aNodeThatSupervisesNoToolsListsNoneSoThatEventsOfOthersCount() async throws {
        let directory = try TemporaryDirectory()
        try await withServer { server in
            let manifest = try directory.file("mesh.yaml", "node: me\nhealth: {interval: 200ms}\n")
            let serve = try Command(["serve", "--config", manifest, "--json", "--nats", server.url])
            try await serve.waitForOutput("node.health")
            let emit = ["emit", "tool.started", "tool=other", "--node", "me", "--ack", "--nats", server.url]
            #expect(try await Command.run(emit).code == 0)
            func count() -> Int { serve.output.components(separatedBy: "node.health").count }
            let before = count()
            try await eventually("two more health events") { count() > before + 1 }
            let status = try await Command.run(["status", "--nats", server.url])
            #expect(status.lines.first == "1 node: 1 online; 1 tool: 1 running", "\(status.output)")
            #expect(!serve.output.contains(#""tools":["#), "\(serve.output)")
            serve.signal(SIGTERM)
            #expect(try await serve.wait(within: .seconds(30)).code == 0)
        }
    }
}
