import Foundation
import LocalNATSServer
import MeshEvents
import NATSClient
import NIOCore
import TestSupport
import Testing

/// The saved state of the mesh, and what its keeper announces, as people see it.
@Suite(.timeLimit(.minutes(5))) struct KeeperCommandTests {
    private static func manifest(_ node: String, tools: String = "") -> String {
        "node: \(node)\nhealth: {interval: 1500ms}\n" + tools
    }

    private static let tools = """
        tools:
          - name: steady
            version: "1.0.0"
            command: [sleep, "600"]
          - name: broken
            version: "2.0.0"
            command: [sh, -c, "exit 3"]
            restart: never

        """

    /// A server, with commands that use it.
    private struct Bench {
        let server: LocalNATSServer
        let directory: TemporaryDirectory

        func run(_ arguments: String...) async throws -> Command.Outcome {
            try await Command.run(arguments + ["--nats", server.url])
        }

        func serve(_ manifest: String, _ arguments: String...) throws -> Command {
            let file = try directory.file("\(UUID()).yaml", manifest)
            return try Command(["serve", "--config", file, "--nats", server.url] + arguments)
        }

        func keep(_ node: String) async throws -> Command {
            let keep = try Command(["keep", "--node", node, "--lease", "3s", "--nats", server.url])
            try await keep.waitForError("keeps the state of the mesh in the bucket MESH_STATE")
            return keep
        }

        /// `name version state last_error` of each tool.
        func tools(of node: Int = 0) async throws -> [String] {
            let status = try await run("status", "--json")
            #expect(status.code == 0, "\(status.error)")
            let json = try EventData(json: status.output).value
            return (json["nodes"]?[node]?["tools"]?.array ?? []).map { tool in
                ["name", "version", "state", "last_error"].map { tool[$0]?.string ?? "-" }.joined(separator: " ")
            }
        }

        /// What is saved under a key; empty for nothing.
        func saved(_ key: String) async throws -> String {
            let connection = try await NATSConnection.connect(to: server.url)
            let bucket = try? await JetStream(connection: connection).openKeyValue("MESH_STATE")
            let text = try await bucket?.get(key)?.text
            await connection.close()
            return text ?? ""
        }

        func count(_ type: String) async throws -> Int { try await run("list", type, "--json").lines.count }

        func end(_ commands: Command...) async throws {
            for command in commands {
                command.signal(SIGTERM)
                let outcome = try await command.wait(within: .seconds(60))
                #expect(outcome.code == 0, "\(outcome.error)")
            }
        }
    }

    private func bench(
        _ binary: NATSServers.Binary = NATSServers.first,
        _ configuration: LocalNATSServer.Configuration = .init(),
        _ body: (Bench) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        try await withServer(binary, configuration) { server in
            #expect(try await Command.run(["stream", "create", "--nats", server.url]).code == 0)
            try await body(Bench(server: server, directory: directory))
        }
    }

    /// What the status lost when the stream dropped the events of tools.
    @Test(arguments: NATSServers.all)
    func theStatusIsRightWhateverTheStreamStillHas(binary: NATSServers.Binary) async throws {
        let store = try TemporaryDirectory()
        try await bench(binary, .init(storeDirectory: store.path + "/js")) { bench in
            let keep = try await bench.keep("k")
            let serve = try bench.serve(Self.manifest("me", tools: Self.tools), "--no-keep")
            let expected = ["broken 2.0.0 failed exited with code 3", "steady 1.0.0 running -"]
            try await eventually("the tools") { try await bench.tools() == expected }
            // Also without any further event of the node.
            serve.signal(SIGKILL)
            try await eventually("the announcement") { try await bench.count("node.unreachable") == 1 }
            // At its end the keeper saves what came last.
            try await bench.end(keep)
            #expect(try await bench.run("stream", "purge", "--yes").code == 0)
            #expect(try await bench.tools() == expected)
            let check = try await bench.run("status", "--check")
            #expect(check.code == 2 && check.lines.first == "CRITICAL - me is unreachable", "\(check.output)")
            // Without its store the server knows nothing; the next health event of the node says it all.
            await bench.server.kill()
            try FileManager.default.removeItem(atPath: store.path + "/js")
            try await bench.server.restart()
            let again = try bench.serve(Self.manifest("me", tools: Self.tools))
            try await eventually("the tools") { (try? await bench.tools()) == expected }
            try await eventually("the new entries") {
                let text = try await bench.run("status", "--check")
                return text.code == 2 && text.output.contains("me/broken has failed")
            }
            try await bench.end(again)
        }
    }

    @Test(arguments: NATSServers.all)
    func aNodeThatIsKilledIsAnnouncedOnceAndOnceWhenItIsBack(binary: NATSServers.Binary) async throws {
        try await bench(binary) { bench in
            let (first, second) = (
                try await bench.keep("k1"),
                try Command(
                    ["keep", "--node", "k2", "--lease", "3s", "--nats", bench.server.url]
                )
            )
            let serve = try bench.serve(Self.manifest("pi", tools: Self.tools), "--no-keep")
            try await eventually("the node") { try await bench.tools().count == 2 }
            try await Task.sleep(for: .seconds(2))
            #expect(try await bench.count("node.unreachable") == 0)
            serve.signal(SIGKILL)
            try await eventually("the announcement") { try await bench.count("node.unreachable") == 1 }
            let event = try EventData(
                json: try #require(try await bench.run("list", "node.unreachable", "--json").lines.first)
            )
            #expect(event["data"]?["node"]?.string == "pi" && event["data"]?["tools"]?.value == ["steady"])
            #expect(event["node"]?.string == "k1")
            // The filter takes the node that the event is about.
            #expect(try await bench.run("list", "node.unreachable", "--node", "pi").output.contains("unreachable"))
            #expect(try await bench.run("list", "--node", "k1").output.isEmpty)
            // Its keeper dies too: the next one knows what was said.
            first.signal(SIGKILL)
            try await second.waitForError("keeps the state of the mesh in the bucket")
            try await Task.sleep(for: .seconds(2))
            let back = try bench.serve(Self.manifest("pi"), "--no-keep")
            try await eventually("the recovery") { try await bench.count("node.recovered") == 1 }
            try await Task.sleep(for: .seconds(2))
            #expect(try await bench.count("node.unreachable") == 1)
            #expect(try await bench.count("node.recovered") == 1)
            try await bench.end(back, second)
        }
    }

    @Test func maintenanceAndForgettingAreHeeded() async throws {
        try await bench { bench in
            let keep = try await bench.keep("k")
            let (a, b) = (
                try bench.serve(Self.manifest("a"), "--no-keep"), try bench.serve(Self.manifest("b"), "--no-keep")
            )
            try await eventually("both nodes") { try await bench.run("status").output.contains("2 nodes: 2 online") }
            #expect(try await bench.run("node", "maintenance", "a", "--for", "1h").code == 0)
            a.signal(SIGKILL)
            b.signal(SIGKILL)
            try await eventually("b's announcement") { try await bench.count("node.unreachable") == 1 }
            try await Task.sleep(for: .seconds(2))
            #expect(try await bench.run("list", "node.unreachable", "--node", "a").output.isEmpty)
            #expect(try await bench.run("node", "maintenance", "a", "--end").code == 0)
            try await eventually("a's announcement") { try await bench.count("node.unreachable") == 2 }
            for node in ["a", "b"] { #expect(try await bench.run("node", "forget", node).code == 0) }
            try await eventually("an empty mesh") {
                try await bench.run("status").output.contains("no node or tool is known")
            }
            // At its end the keeper saves what came last.
            try await bench.end(keep)
            #expect(try await bench.run("stream", "purge", "--yes").code == 0)
            #expect(try await bench.run("status").output.contains("no node or tool is known"))
            let back = try bench.serve(Self.manifest("a"), "--no-keep")
            try await eventually("a") { try await bench.run("status").output.contains("1 node: 1 online") }
            try await bench.end(back)
        }
    }

    @Test(arguments: NATSServers.all)
    func otherClientsReadAndWatchTheState(binary: NATSServers.Binary) async throws {
        try await bench(binary) { bench in
            let serve = try bench.serve(Self.manifest("gpu.1", tools: Self.tools))
            try await eventually("the tools") { try await bench.tools().count == 2 }
            let output = try await Python.run(
                """
                import asyncio, json, nats, os
                async def main():
                    nc = await nats.connect(os.environ["URL"])
                    kv = await nc.jetstream().key_value("MESH_STATE")
                    watcher = await kv.watch("node.>")
                    while True:
                        entry = await watcher.updates(timeout=60)
                        if entry is None: continue
                        node = json.loads(entry.value)
                        tools = sorted((t["name"], t["version"], t["state"]) for t in node["tools"])
                        if len(tools) == 2 and tools[0][2] == "failed" and tools[1][2] == "running": break
                    print(entry.key, node["name"], node["status"], tools)
                    # This client lists a key twice that changes meanwhile.
                    print(sorted({k for k in await kv.keys() if k != "checkpoint"}))
                    print(json.loads((await kv.get("keeper")).value)["node"])
                    await nc.close()
                asyncio.run(main())
                """,
                url: bench.server.url
            )
            #expect(
                output == """
                    node.gpu=2E1 gpu.1 online [('broken', '2.0.0', 'failed'), ('steady', '1.0.0', 'running')]
                    ['keeper', 'node.gpu=2E1']
                    gpu.1

                    """
            )
            try await bench.end(serve)
        }
    }

    /// The server stores its answers wherever a request says, under the keys of the bucket too.
    @Test(arguments: NATSServers.all)
    func usersOfAMeshWithRolesCannotSpoilItsState(binary: NATSServers.Binary) async throws {
        let bench = try await AuthBench(binary, manifest: Self.manifest("me", tools: Self.tools))
        let observer = try await bench.connect("observer")
        func keys() async throws -> [String] {
            let admin = try await bench.connect("admin")
            let keys = try await JetStream(connection: admin).openKeyValue("MESH_STATE").keys()
            await admin.close()
            return keys
        }
        try await eventually(within: .seconds(60), "the state") {
            try await keys() == ["checkpoint", "keeper", "node.me"]
        }
        let ghost = ["node.health", "status=online", #"resources={"interval_s":1}"#, "--node", "ghost", "--ack"]
        #expect(try await bench.run("node", ["emit"] + ghost).code == 0)
        // Meanwhile an observer spoils every key, and makes others.
        for round in 0..<40 {
            for key in ["checkpoint", "keeper", "node.me", "node.ghost", "node.junk\(round)", "junk.\(round)"] {
                try observer.publish(
                    ByteBuffer(string: #"{"seq":1}"#),
                    to: "$JS.API.STREAM.MSG.GET.MESH_EVENTS",
                    replyTo: "$KV.MESH_STATE.\(key)"
                )
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        for user in ["observer", "tool", "node"] {
            let status = try await bench.run(user, ["status"])
            #expect(status.output.contains("2 tools: 1 running, 1 failed"), "\(status.output)\(status.error)")
        }
        try await eventually(within: .seconds(60), "the announcement") {
            try await bench.run("observer", ["list", "node.unreachable", "--json"]).lines.count == 1
        }
        try await eventually(within: .seconds(90), "the state to be as it was") {
            try await keys() == ["checkpoint", "keeper", "node.ghost", "node.me"]
        }
        #expect(try await bench.run("admin", ["stream", "purge", "--yes"]).code == 0)
        try await eventually("the status after the purge") {
            try await bench.run("observer", ["status"]).output.contains("2 nodes: 1 online, 1 unreachable")
        }
        #expect(!bench.serve.error.contains("the state of the mesh"), "\(bench.serve.error)")
        for user in ["observer", "tool"] {
            let refused = try await bench.run(user, ["keep"])
            #expect(refused.code == 69 && refused.error.contains("only nodes and admins"), "\(refused.error)")
        }
        await observer.close()
        try await bench.end()
    }

    @Test func withATrustListTheStateOfATrustedKeeperCounts() async throws {
        try await bench { bench in
            let key = bench.directory.path + "/hub.nk"
            let made = try await Command.run(["key", "new", key, "--node", "hub", "--keeper"])
            #expect(made.output.hasSuffix(" keeper\n"), "\(made.output)")
            let shown = try await Command.run(["key", "show", key, "--node", "hub"])
            let trust = try bench.directory.file("trust", made.output)
            let other = try bench.directory.file("other", shown.output)
            let serve = try bench.serve("node: hub\n" + Self.tools, "--sign-key", key, "--trust", trust)
            try await serve.waitForOutput("tool.crashed")
            try await eventually("the state to be saved") {
                try await bench.saved("node.hub").contains("exited with code 3")
            }
            try await bench.end(serve)
            #expect(try await bench.run("stream", "purge", "--yes").code == 0)
            let believed = try await bench.run("status", "--trust", trust)
            #expect(
                believed.output.contains("1 node: 1 left") && believed.output.contains("broken"),
                "\(believed.output)"
            )
            let unknown = try await bench.run("status", "--trust", other)
            #expect(unknown.output.contains("no node or tool is known"), "\(unknown.output)")
            let untrusted = try Command(["keep", "--trust", other, "--sign-key", key, "--nats", bench.server.url])
            try await untrusted.waitForError("do not use what this node saves")
            untrusted.signal(SIGTERM)
            #expect(try await untrusted.wait(within: .seconds(60)).code == 0)
        }
    }

    @Test func twoNodesOfOneNameAndARenamedNode() async throws {
        try await bench { bench in
            let keep = try await bench.keep("k")
            let first = try bench.serve(Self.manifest("old"), "--no-keep")
            try await eventually("old") { try await bench.run("status").output.contains("1 node: 1 online") }
            let twin = try bench.serve(Self.manifest("old"), "--no-keep")
            try await twin.waitForOutput("node.joined")
            first.signal(SIGKILL)
            // One of the two still runs: there is nothing to announce.
            try await Task.sleep(for: .seconds(6))
            #expect(try await bench.count("node.unreachable") == 0)
            try await bench.end(twin)
            let renamed = try bench.serve(Self.manifest("new"), "--no-keep")
            try await eventually("new") { try await bench.run("status").output.contains("2 nodes: 1 online, 1 left") }
            try await bench.end(renamed, keep)
        }
    }

    @Test func keepSaysWhatIsWrong() async throws {
        try await withServer { server in
            let none = try await Command.run(["keep", "--nats", server.url])
            #expect(none.code == 69 && none.error.contains("no events are stored"), "\(none.error)")
            #expect(try await Command.run(["keep", "--lease", "1ms", "--nats", server.url]).code == 64)
        }
    }
}
