import Foundation
import LocalNATSServer
import MeshEvents
import TestSupport
import Testing

/// `tool` against nodes that `serve` runs, as a user runs it.
@Suite(.timeLimit(.minutes(3))) struct ToolControlCommandTests {
    /// A node, with the directory of its manifest.
    private final class Node {
        let directory: TemporaryDirectory
        let serve: Command
        let name: String

        init(
            _ server: LocalNATSServer,
            _ name: String,
            tools: String = "",
            more: [String] = ["--allow-install"],
            environment: [String: String] = [:]
        ) async throws {
            directory = try TemporaryDirectory()
            self.name = name
            let text = "node: \(name)\nhealth: {interval: 300ms}\ntools:\n\(tools.isEmpty ? "  []\n" : tools)"
            let manifest = try directory.file("mesh.yaml", text)
            serve = try Command(
                ["serve", "--no-keep", "--config", manifest, "--nats", server.url] + more,
                environment: environment
            )
            try await serve.waitForError("is in the mesh")
        }

        func text(of file: String) -> String { (try? directory.text(of: file)) ?? "" }

        func end() async throws {
            serve.signal(SIGTERM)
            let outcome = try await serve.wait(within: .seconds(30))
            #expect(outcome.code == 0, "\(outcome.error)")
        }
    }

    /// A tool that writes its process id and its signals into its directory.
    private static func recorder(version: String = "1.0", indent: String = "", env: String = "{}") -> String {
        [
            "name: whisper", "version: \"\(version)\"",
            "command: [sh, -c, \"trap 'echo hup >> got' HUP; trap 'echo usr2 >> got' USR2; echo \(version) $TOKEN > ran; "
                + "while :; do sleep 0.05; done\"]",
            "env: \(env)", "reload: HUP",
        ].enumerated().map { (indent.isEmpty ? "" : $0 == 0 ? "  - " : "    ") + $1 + "\n" }.joined()
    }

    /// The nodes a, b and c with the tool `whisper`, when it runs on all and the mesh knows them.
    ///
    /// - Parameter before: what its shell does before it writes its process id.
    private func threeNodes(_ server: LocalNATSServer, before: String = "") async throws -> [Node] {
        let tool = """
              - name: whisper
                version: "1.0"
                command: [sh, -c, "\(before)echo $$ > ran; exec sleep 600"]

            """
        var nodes: [Node] = []
        for name in ["a", "b", "c"] { nodes.append(try await Node(server, name, tools: tool)) }
        for node in nodes { try await eventually("the tool on \(node.name)") { !node.text(of: "ran").isEmpty } }
        try await eventually("the mesh to know all") {
            try await run(server, "status").lines.first?.contains("3 running") == true
        }
        return nodes
    }

    private func run(_ server: LocalNATSServer, _ arguments: String...) async throws -> Command.Outcome {
        try await Command.run(arguments + ["--nats", server.url])
    }

    private func controlled(_ server: LocalNATSServer) async throws -> [ToolControlled] {
        let list = try await run(server, "list", "tool.controlled", "--json")
        return try list.lines.map { line in
            try EventDecoder.decode(subject: "", payload: Array(line.utf8), received: .now).payload()
        }
    }

    @Test(arguments: NATSServers.all)
    func aToolIsInstalledReloadedSignalledUpgradedAndRemoved(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let node = try await Node(server, "gpu-1", environment: ["TOKEN_OF_NODE": "of-the-node"])
            let files = try TemporaryDirectory()
            let file = try files.file("whisper.yaml", Self.recorder(env: "{TOKEN: \"${TOKEN_OF_NODE}\"}"))
            let install = try await run(server, "tool", "install", "--config", file, "--node", "gpu-1", "--by", "anna")
            #expect(install.code == 0 && install.output == "whisper on gpu-1: running\n", "\(install.error)")
            try await eventually("the tool to have the variable of its node") {
                node.text(of: "ran") == "1.0 of-the-node\n"
            }
            try await eventually("the mesh to know it") {
                try await run(server, "status", "--json").output.contains("whisper")
            }

            #expect(try await run(server, "tool", "reload", "whisper", "--by", "anna").code == 0)
            try await eventually("the reload") { node.text(of: "got") == "hup\n" }
            #expect(try await run(server, "tool", "signal", "whisper", "usr2", "--by", "anna").code == 0)
            try await eventually("the signal") { node.text(of: "got") == "hup\nusr2\n" }
            let wrong = try await run(server, "tool", "signal", "whisper", "NOPE", "--by", "anna")
            #expect(wrong.code == 69 && wrong.error.contains("SIGUSR2"), "\(wrong.error)")

            let next = try files.file("next.yaml", Self.recorder(version: "2.0"))
            let upgrade = try await run(
                server,
                "tool",
                "upgrade",
                "whisper",
                "--config",
                next,
                "--wait-ready",
                "--by",
                "anna"
            )
            #expect(upgrade.code == 0 && upgrade.output.contains("running"), "\(upgrade.error)")
            try await eventually("the new version") { node.text(of: "ran") == "2.0\n" }
            let remove = try await run(server, "tool", "remove", "whisper", "--by", "anna")
            #expect(remove.code == 0 && remove.output == "whisper on gpu-1: removed\n", "\(remove.error)")

            var events: [ToolControlled] = []
            try await eventually("the events to be stored") {
                events = try await controlled(server)
                return events.count == 6
            }
            #expect(events.map(\.action) == ["install", "reload", "signal", "signal", "upgrade", "remove"])
            #expect(events.map(\.result) == ["done", "done", "done", "unknownSignal", "done", "done"])
            #expect(events.allSatisfy { $0.by == "anna" && $0.tool == "whisper" })
            #expect(!node.serve.output.contains("of-the-node"), "what a variable held is in no event")
            try await node.end()
        }
    }

    @Test func theManifestReadAgainUndoesWhatWasAskedFor() async throws {
        try await withServer { server in
            let node = try await Node(server, "pi", tools: Self.recorder(indent: " "))
            try await eventually("the tool to run") { node.text(of: "ran") == "1.0\n" }
            let files = try TemporaryDirectory()
            let extra = try files.file("extra.yaml", "name: extra\nversion: v1\ncommand: [sleep, 600]\n")
            let next = try files.file("next.yaml", Self.recorder(version: "2.0"))
            #expect(try await run(server, "tool", "install", "--config", extra).code == 0)
            #expect(try await run(server, "tool", "upgrade", "whisper", "--config", next, "--node", "pi").code == 0)
            try await eventually("the new version") { node.text(of: "ran") == "2.0\n" }
            node.serve.signal(SIGHUP)
            try await node.serve.waitForError("changed whisper; removed extra")
            try await eventually("the version of the manifest") { node.text(of: "ran") == "1.0\n" }
            #expect(try await run(server, "tool", "remove", "whisper", "--node", "pi").code == 0)
            node.serve.signal(SIGHUP)
            try await node.serve.waitForError("added whisper")
            try await node.end()
        }
    }

    @Test func withoutAllowInstallNothingIsInstalled() async throws {
        try await withServer { server in
            let node = try await Node(server, "pi", tools: Self.recorder(indent: " "), more: [])
            let files = try TemporaryDirectory()
            let path = try files.file("x.yaml", "name: x\nversion: v1\ncommand: [sleep, 600]\n")
            let install = try await run(server, "tool", "install", "--config", path, "--node", "pi")
            #expect(install.code == 69 && install.error.contains("serve --allow-install"), "\(install.error)")
            let remove = try await run(server, "tool", "remove", "whisper", "--node", "pi")
            #expect(remove.code == 69 && remove.error.contains("--allow-install"), "\(remove.error)")
            // Control is not concerned.
            #expect(try await run(server, "tool", "restart", "whisper", "--node", "pi").code == 0)
            try await node.end()
        }
    }

    @Test(arguments: NATSServers.all)
    func aRollingRestartEndsAtTheNodeThatFailsAndSaysWhichAreDone(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            // On b a file makes the next start fail.
            let nodes = try await threeNodes(server, before: "test -e broken && exit 3; ")
            let before = nodes.map { $0.text(of: "ran") }
            let good = try await run(server, "tool", "restart", "whisper", "--all", "--one-by-one", "--wait-ready")
            let lines = ["whisper on a: running", "whisper on b: running", "whisper on c: running"]
            #expect(good.code == 0 && good.lines == lines, "\(good.output) \(good.error)")
            let after = nodes.map { $0.text(of: "ran") }
            #expect(zip(before, after).allSatisfy { $0 != $1 }, "each was restarted")

            _ = try nodes[1].directory.file("broken", "")
            let bad = try await run(
                server,
                "tool",
                "restart",
                "whisper",
                "--all",
                "--one-by-one",
                "--wait-ready",
                "--timeout",
                "6s"
            )
            #expect(bad.code == 69 && bad.lines == ["whisper on a: running"], "\(bad.output)")
            #expect(bad.error.contains("done: a; failed: b; not touched: c"), "\(bad.error)")
            #expect(bad.error.contains("exited with code 3"), "\(bad.error)")
            #expect(bad.error.contains("on b it is now version 1.0, "), "\(bad.error)")
            #expect(bad.error.contains("on c it is as it was; to go on when the cause is mended"), "\(bad.error)")
            #expect(!bad.error.contains("to go back"), "a restart has no former specification: \(bad.error)")
            #expect(nodes[0].text(of: "ran") != after[0] && nodes[2].text(of: "ran") == after[2])

            let all = try await run(server, "tool", "stop", "whisper", "--all")
            #expect(all.code == 0 && Set(all.lines).count == 3, "\(all.error)")
            for node in nodes { try await node.end() }
        }
    }

    @Test func aRollingUpgradeThatFailsSaysWhatEachNodeHasAndHowToGoBack() async throws {
        try await withServer { server in
            // On the second node a file makes the new version fail.
            func tool(_ version: String) -> String {
                """
                name: whisper
                version: "\(version)"
                command: [sh, -c, "test -e broken-\(version) && exit 3; echo \(version) > ran; exec sleep 600"]
                restart: never
                """
            }
            let lines = tool("1.0").split(separator: "\n")
            let tools = lines.enumerated().map { ($0 == 0 ? "  - " : "    ") + $1 + "\n" }.joined()
            var nodes: [Node] = []
            for name in ["a", "b 2", "c"] { nodes.append(try await Node(server, name, tools: tools)) }
            for node in nodes { try await eventually("the tool on \(node.name)") { node.text(of: "ran") == "1.0\n" } }
            try await eventually("the mesh to know all") {
                try await run(server, "status").lines.first?.contains("3 running") == true
            }
            _ = try nodes[1].directory.file("broken-2.0", "")
            let files = try TemporaryDirectory()
            let file = try files.file("whisper.yaml", tool("2.0"))
            let command = ["tool", "upgrade", "whisper", "--config", file, "--all", "--one-by-one", "--wait-ready"]
            let bad = try await Command.run(command + ["--timeout", "60s", "--nats", server.url])
            #expect(bad.code == 69 && bad.lines == ["whisper on a: running"], "\(bad)")
            for part in [
                #"done: a; failed: "b 2"; not touched: c."#, #"on "b 2" it is now version 2.0, "#,
                "`mesh-events tool logs 'b 2/whisper'` shows why", "on c it is as it was",
                "to go back: `mesh-events tool upgrade a/whisper --config FORMER-FILE`, and so for 'b 2/whisper'",
            ] {
                #expect(bad.error.contains(part), "\(part) in \(bad.error)")
            }
            let former = try files.file("former.yaml", tool("1.0"))
            for name in ["a/whisper", "b 2/whisper"] {
                let back = try await run(server, "tool", "upgrade", name, "--config", former, "--wait-ready")
                #expect(back.code == 0, "\(back.error)")
            }
            for node in nodes { try await eventually("the version before") { node.text(of: "ran") == "1.0\n" } }
            for node in nodes { try await node.end() }
        }
    }

    @Test func aRollingRestartSkipsANodeThatIsDeadAndSaysSo() async throws {
        try await withServer { server in
            let nodes = try await threeNodes(server)
            nodes[1].serve.signal(SIGKILL)
            _ = try await nodes[1].serve.wait(within: .seconds(30))
            let rest = try await run(server, "tool", "restart", "whisper", "--all", "--one-by-one", "--wait-ready")
            #expect(rest.code == 75 && rest.lines == ["whisper on a: running", "whisper on c: running"], "\(rest)")
            #expect(rest.error.contains("b is skipped: ") && rest.error.contains("skipped: b"), "\(rest.error)")
            #expect(rest.error.contains("done: a, c; failed: none; not touched: none"), "\(rest.error)")
            for node in [nodes[0], nodes[2]] { try await node.end() }
        }
    }

    @Test func twoNodesOfOneNameAreSaidWhenBothHaveDoneWhatWasAsked() async throws {
        try await withServer { server in
            let nodes = [
                try await Node(server, "pi", tools: Self.recorder(indent: " ")),
                try await Node(server, "pi", tools: Self.recorder(indent: " ")),
            ]
            for node in nodes { try await eventually("a tool to run") { node.text(of: "ran") == "1.0\n" } }
            try await eventually("the mesh to know it") {
                try await run(server, "status", "--json").output.contains("whisper")
            }
            let warning = "2 nodes named \"pi\" have answered, and each acts by itself; give each a name of its own"
            for more in [["--node", "pi"], ["--all"], ["--all", "--one-by-one", "--wait-ready"]] {
                // The other one may be slower than the wait for it, on a busy machine.
                try await eventually("both to answer, with \(more)") {
                    let arguments = ["tool", "signal", "whisper", "usr2"] + more + ["--nats", server.url]
                    let outcome = try await Command.run(arguments)
                    #expect(outcome.code == 0 && outcome.output == "whisper on pi: running\n", "\(outcome)")
                    return outcome.error.contains(warning)
                }
            }
            for node in nodes { #expect(node.text(of: "got").contains("usr2")) }
            // One that does not know the tool refuses, and says it as well.
            try await eventually("both to refuse") {
                let outcome = try await run(server, "tool", "restart", "none", "--node", "pi")
                #expect(outcome.code == 69, "\(outcome)")
                return outcome.error.contains(warning)
            }
            for node in nodes { try await node.end() }
        }
    }

    @Test(
        arguments: [
            (["tool", "restart", "x", "--one-by-one"], 64), (["tool", "restart", "x", "--all", "--node", "a"], 64),
            (["tool", "restart", "x", "--node", ""], 64), (["tool", "restart", "x", "--by", ""], 64),
            (["tool", "signal", "x"], 64), (["tool", "install"], 64), (["tool", "install", "--config", "/none"], 65),
            (["tool", "restart", "x", "--timeout", "soon"], 64),
        ] as [([String], Int32)]
    ) func wrongArgumentsAreSaidBeforeAnythingIsAsked(arguments: [String], code: Int32) async throws {
        let outcome = try await Command.run(arguments + ["--nats", "nats://127.0.0.1:1"])
        #expect(outcome.code == code && !outcome.error.isEmpty, "\(outcome.error)")
    }

    @Test func theMistakesOfAFileAreSaidWithTheirPlace() async throws {
        let files = try TemporaryDirectory()
        let file = try files.file("x.yaml", "name: x\nversion: 1.10\ncomand: [sleep]\n")
        let outcome = try await Command.run(["tool", "install", "--config", file, "--nats", "nats://127.0.0.1:1"])
        #expect(outcome.code == 65)
        #expect(outcome.error.contains("x.yaml:2:10:") && outcome.error.contains("x.yaml:3:1:"), "\(outcome.error)")
        #expect(outcome.error.contains("did you mean 'command'"))
        let good = try files.file("y.yaml", "name: y\nversion: v1\ncommand: [sleep]\n")
        let other = try await Command.run(["tool", "upgrade", "x", "--config", good, "--nats", "nats://127.0.0.1:1"])
        #expect(other.code == 65 && other.error.contains("about the tool y"), "\(other.error)")
    }

    @Test func thePageMayControlToolsOnlyWithATokenAndNotAsANodeOfAMeshWithUsers() async throws {
        let bare = try await Command.run(["dashboard", "--allow-control", "--nats", "nats://127.0.0.1:1"])
        #expect(bare.code == 64 && bare.error.contains("needs a token"), "\(bare.error)")
        let alone = try await Command.run(["serve", "--allow-control"])
        #expect(alone.code == 64 && alone.error.contains("--dashboard"), "\(alone.error)")
        let node = try await Command.run(
            ["serve", "--dashboard", "--allow-control", "--auth", "/nowhere"],
            environment: ["MESH_EVENTS_DASHBOARD_TOKEN": "a token for tests, long enough"]
        )
        #expect(node.code == 64 && node.error.contains("mesh-events dashboard --allow-control"), "\(node.error)")
    }
}
