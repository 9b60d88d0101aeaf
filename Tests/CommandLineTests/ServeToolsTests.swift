import Foundation
import LocalNATSServer
import MeshEvents
import TestSupport
import Testing

/// `serve` with a manifest, as a person runs it: real tools, real signals.
@Suite(.timeLimit(.minutes(3))) struct ServeToolsTests {
    /// A node of this test, and where its tools leave their process ids.
    private final class Node {
        let directory: TemporaryDirectory
        let serve: Command
        let server: LocalNATSServer

        init(
            _ server: LocalNATSServer,
            name: String = "me",
            tools: String,
            login: [String] = [],
            launcher: [String] = [],
            files: (TemporaryDirectory) throws -> Void = { _ in }
        ) throws {
            self.server = server
            directory = try TemporaryDirectory()
            try files(directory)
            let manifest = try directory.file("mesh.yaml", Self.manifest(name, tools))
            // Without a keeper: it would announce the node whenever a busy machine stalls it for three intervals.
            serve = try Command(
                ["serve", "--no-keep", "--config", manifest, "--json", "--nats", server.url] + login,
                launcher: launcher
            )
        }

        static func manifest(_ name: String, _ tools: String) -> String {
            "node: \(name)\nhealth: {interval: 1s}\ntools:\n\(tools)"
        }

        /// A tool that says its process id and waits.
        static func sleeper(_ name: String, version: String = "1.0.0", more: String = "") -> String {
            """
              - name: \(name)
                version: "\(version)"
                command: [sh, -c, "echo $$ > \(name).new; mv \(name).new \(name).pid; exec sleep 600"]
            \(more)

            """
        }

        func pid(_ tool: String) async throws -> Int32 {
            var pid: Int32?
            try await eventually("the process id of \(tool)") {
                pid = (try? directory.text(of: "\(tool).pid")).flatMap { Int32($0.dropLast()) }
                return pid != nil
            }
            return try #require(pid)
        }

        func events() -> [Event] {
            serve.output.split(separator: "\n").compactMap { line in
                try? EventDecoder.decode(subject: "", payload: Array(line.utf8), received: .now)
            }
        }

        func types() -> [String] {
            events().filter { $0.type != .nodeHealth }.map { event in
                event.type.rawValue + (event.data["tool"]?.string.map { " \($0)" } ?? "")
            }
        }

        func status(_ more: String...) async throws -> String {
            try await Command.run(["status", "--json", "--nats", server.url] + more).output
        }

        func run(_ arguments: String...) async throws -> Command.Outcome {
            try await Command.run(arguments + ["--nats", server.url])
        }
    }

    private func isAlive(_ pid: Int32) -> Bool { kill(pid, 0) == 0 }

    @Test(arguments: NATSServers.all)
    func aKilledToolIsNamedAndRunsAgainAndSIGTERMStopsAll(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let tool = Node.sleeper("steady", more: "    config: {model: base, api_key: s3cr3t}")
            let node = try Node(server, tools: tool)
            let pid = try await node.pid("steady")
            try await node.serve.waitForOutput("tool.started")
            let killed = Timestamp.now
            kill(pid, SIGKILL)
            try await node.serve.waitForOutput("tool.crashed")
            try await eventually("the tool to run again") { try await node.pid("steady") != pid }
            let second = try await node.pid("steady")
            try await eventually("its start to be shown") { node.types().count { $0 == "tool.started steady" } == 2 }

            let crash = try #require(node.events().first { $0.type == .toolCrashed })
            #expect(crash.data["error"]?.string == "killed by signal 9 (SIGKILL)")
            #expect(crash.data["restart_count"]?.int == 1)
            #expect(crash.timestamp.duration(since: killed) < .seconds(1))

            node.serve.signal(SIGTERM)
            let outcome = try await node.serve.wait(within: .seconds(15))
            #expect(outcome.code == 0, "\(outcome.error)")
            #expect(!isAlive(second) && !isAlive(pid))
            #expect(
                node.types() == [
                    "node.joined", "tool.installed steady", "tool.configured steady", "tool.started steady",
                    "tool.crashed steady", "tool.started steady", "tool.stopped steady", "node.left",
                ]
            )
            #expect(node.events().first?.data["capabilities"]?["tools"]?.int == 1)
            let stopped = try #require(node.events().first { $0.type == .toolStopped })
            #expect(stopped.data["reason"]?.string == "shutdown")
            #expect(!outcome.output.contains("s3cr3t") && !outcome.error.contains("s3cr3t"))
            let stored = try await node.run("list", "node.left", "--json")
            #expect(stored.lines.count == 1 && stored.output.contains("shutdown"), "node.left is stored")
        }
    }

    @Test func aToolIsReadyWhenItSaysSoAndUnhealthyWhenItsCheckFails() async throws {
        try await withServer { server in
            let tool = """
                  - name: speaker
                    version: "1.0.0"
                    command: [python3, speaker.py]
                    ready: notify
                    health: {exec: [sh, -c, "test -e works || { echo it is broken; exit 1; }"], every: 100ms, timeout: 30s, failures: 1}
                    on_unhealthy: nothing

                """
            let speaker = """
                import os, socket, time
                while not os.path.exists("go"): time.sleep(0.01)
                s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                s.sendto(b"STATUS=model loaded\\nREADY=1", os.environ["NOTIFY_SOCKET"])
                time.sleep(600)
                """
            let node = try Node(server, tools: tool) { directory in
                try directory.file("speaker.py", speaker)
                try directory.file("works", "")
            }
            try await eventually("a tool that is not ready") {
                try await node.run("status").output.contains(" running, not ready ")
            }
            try node.directory.file("go", "")
            try await node.serve.waitForOutput("tool.ready")
            try await eventually("what it says") {
                try await node.run("status", "me/speaker").output.contains("model loaded")
            }
            try await eventually("all to be well") { try await node.run("status", "--check").code == 0 }
            try FileManager.default.removeItem(atPath: node.directory.path + "/works")
            try await node.serve.waitForOutput("tool.unhealthy")
            try await eventually("a tool that is unhealthy") {
                try await node.run("status", "me/speaker", "--check").code == 1
            }
            let detail = try await node.run("status", "me/speaker").output
            #expect(detail.contains("exited with code 1: it is broken"), "\(detail)")
            let json = try EventData(json: try await node.status("me/speaker"))
            #expect(json["tool"]?["unhealthy"]?.string == "exited with code 1: it is broken", "\(json.json)")
            #expect(json["tool"]?["ready"]?.bool == true && json["tool"]?["status_text"]?.string == "model loaded")
            try node.directory.file("works", "")
            try await node.serve.waitForOutput("tool.healthy")
            node.serve.signal(SIGTERM)
            #expect(try await node.serve.wait(within: .seconds(15)).code == 0)
            #expect(
                node.types() == [
                    "node.joined", "tool.installed speaker", "tool.started speaker", "tool.ready speaker",
                    "tool.unhealthy speaker", "tool.healthy speaker", "tool.stopped speaker", "node.left",
                ]
            )
        }
    }

    @Test func aKilledNodeLeavesNoProcessAndIsUnreachableForTheOthers() async throws {
        try await withServer { server in
            let forking = """
                  - name: forking
                    version: "1.0.0"
                    command: [sh, -c, "sleep 601 & echo $! > child.new; mv child.new child.pid; wait"]

                """
            let node = try Node(server, tools: Node.sleeper("steady") + forking)
            let pids = [try await node.pid("steady"), try await node.pid("child")]
            try await node.serve.waitForOutput("node.health")
            #expect(try await node.status().contains(#""status":"online""#))
            node.serve.signal(SIGKILL)
            _ = try await node.serve.wait()
            try await eventually("the tools to be gone") { !pids.contains(where: isAlive) }
            try await eventually("the node to be unreachable") {
                try await node.status().contains(#""status":"unreachable""#)
            }
            let text = try await node.run("status")
            #expect(text.output.contains("unreachable") && text.output.contains("running?"), "\(text.output)")
        }
    }

    @Test(arguments: NATSServers.all)
    func theServerRestartsAndTheNodeIsBackAndItsToolsNeverStopped(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let node = try Node(server, tools: Node.sleeper("steady"))
            let pid = try await node.pid("steady")
            try await node.serve.waitForOutput("tool.started")
            await server.kill()
            try await Task.sleep(for: .seconds(1))
            try await server.restart()
            try await eventually("node.joined again") {
                node.types().count { $0 == "node.joined" } == 2
            }
            #expect(isAlive(pid))
            #expect(!node.types().contains { $0.hasPrefix("tool.stopped") || $0.hasPrefix("tool.crashed") })
            let status = try await node.run("status")
            #expect(status.output.contains("online") && status.output.contains("running"), "\(status.output)")
            node.serve.signal(SIGTERM)
            let outcome = try await node.serve.wait(within: .seconds(15))
            #expect(outcome.code == 0, "\(outcome.error)")
            #expect(!isAlive(pid))
        }
    }

    @Test func SIGHUPAppliesWhatHasChangedAndAFileWithMistakesChangesNothing() async throws {
        try await withServer { server in
            let node = try Node(server, tools: Node.sleeper("kept") + Node.sleeper("changed") + Node.sleeper("dropped"))
            let kept = try await node.pid("kept")
            let dropped = try await node.pid("dropped")
            try await eventually("all to be started") { node.types().count { $0.hasPrefix("tool.started") } == 3 }

            _ = try node.directory.file("mesh.yaml", "node: me\ntools:\n  - nam: kept\n    version: 1\n")
            node.serve.signal(SIGHUP)
            try await node.serve.waitForError("has mistakes")
            try await node.serve.waitForError("did you mean")
            #expect(node.serve.error.contains("mesh.yaml:3:"), "\(node.serve.error)")

            let tools = Node.sleeper("kept") + Node.sleeper("changed", version: "2.0.0") + Node.sleeper("added")
            _ = try node.directory.file("mesh.yaml", Node.manifest("me", tools))
            node.serve.signal(SIGHUP)
            try await node.serve.waitForError("added added; changed changed; removed dropped")
            try await eventually("the new tool to be started") { node.types().contains("tool.started added") }
            try await eventually("the changed one too") { node.types().count { $0 == "tool.started changed" } == 2 }
            try await eventually("the other to be removed") { node.types().contains("tool.removed dropped") }
            #expect(isAlive(kept) && !isAlive(dropped))
            #expect(node.types().filter { $0.hasSuffix(" kept") } == ["tool.installed kept", "tool.started kept"])
            node.serve.signal(SIGTERM)
            let outcome = try await node.serve.wait(within: .seconds(15))
            #expect(outcome.code == 0, "\(outcome.error)")
        }
    }

    @Test func instancesOrderAndSchedulesOfAManifest() async throws {
        try await withServer { server in
            func tools(_ instances: Int) -> String {
                """
                  - {name: worker, command: [sh, -c, "exec sleep 600"], instances: \(instances), after: [base], nice: 3}
                  - {name: base, command: [sleep, 600]}
                  - {name: tick, command: [sh, -c, "exit 3"], every: 1s}

                """
            }
            let node = try Node(server, tools: tools(2))
            try await node.serve.waitForOutput("tool.finished")
            let finished = try #require(node.events().first { $0.type == .toolFinished })
            let run = try finished.payload(as: ToolFinished.self)
            #expect(run.tool == "tick" && run.code == 3 && run.failed && run.error == "exited with code 3")
            let next = try #require(run.next)
            #expect(next.duration(since: finished.timestamp) <= .seconds(1))
            let starts = node.types().filter { $0.hasPrefix("tool.started") && $0 != "tool.started tick" }
            #expect(starts == ["tool.started base", "tool.started worker-1", "tool.started worker-2"])
            try await eventually("the state of the run") {
                let status = try await node.status("me/tick")
                return status.contains("\"next_start\":\"20")
                    && status.contains("\"last_error\":\"exited with code 3\"")
            }
            try node.directory.file("mesh.yaml", Node.manifest("me", tools(1)))
            node.serve.signal(SIGHUP)
            try await node.serve.waitForOutput("tool.removed")
            #expect(
                node.types().filter { $0.hasSuffix(" worker-1") } == [
                    "tool.installed worker-1", "tool.started worker-1",
                ]
            )
            node.serve.signal(SIGTERM)
            let outcome = try await node.serve.wait(within: .seconds(30))
            #expect(outcome.code == 0, "\(outcome.error)")
            let stops = node.types().filter { $0.hasPrefix("tool.stopped") && $0 != "tool.stopped tick" }
            #expect(stops == ["tool.stopped worker-2", "tool.stopped worker-1", "tool.stopped base"])
            // What was due is remembered, so that the next node knows what it has missed.
            #expect(!outcome.error.contains("will not be known"), "\(outcome.error)")
        }
    }

    @Test func aNodeListsItsToolsAndHearsSIGHUPWhileOneWaitsForAnother() async throws {
        try await withServer { server in
            func tools(_ db: String) -> String {
                """
                  - {name: app, command: [sleep, 600], after: {tools: [db], within: 1h}}
                  - {name: db, command: \(db), restart: never}

                """
            }
            let node = try Node(server, tools: tools("[sh, -c, exit 3]"))
            try await eventually("one that waits") {
                try await node.run("status").output.contains("waiting for db")
            }
            // The crash says that no restart follows.
            #expect(try await node.run("status", "me/db", "--check").code == 2)
            let mended = tools("[sleep, 600], ready: {exec: [\"true\"]}")
            try node.directory.file("mesh.yaml", Node.manifest("me", mended))
            node.serve.signal(SIGHUP)
            try await eventually("the other to be started") { node.types().contains("tool.started app") }
            try await eventually("all to be well") { try await node.run("status", "--check").code == 0 }
            #expect(try await node.run("tool", "stop", "me/app").output.contains("app on me: stopped"))
            node.serve.signal(SIGTERM)
            #expect(try await node.serve.wait(within: .seconds(15)).code == 0)
        }
    }

    @Test func ASecondSIGHUPIsHeardWhileAToolOfTheFirstStillStops() async throws {
        try await withServer { server in
            let slow = """
                  - name: slow
                    version: "1"
                    command: [sh, -c, "trap 'until test -e go; do sleep 0.05; done; exit' TERM; echo $$ > slow.new; \
                mv slow.new slow.pid; while :; do sleep 0.05; done"]
                    grace: 2m

                """
            let node = try Node(server, tools: slow + Node.sleeper("kept"))
            let (pid, kept) = (try await node.pid("slow"), try await node.pid("kept"))
            try await eventually("both to be started") { node.types().count { $0.hasPrefix("tool.started") } == 2 }
            func reload(_ tools: String, says text: String) async throws {
                _ = try node.directory.file("mesh.yaml", Node.manifest("me", tools))
                node.serve.signal(SIGHUP)
                try await node.serve.waitForError(text)
            }
            try await reload(Node.sleeper("kept"), says: "removed slow")
            try await reload(slow + Node.sleeper("kept") + Node.sleeper("extra"), says: "added slow, extra")
            #expect(try await isAlive(node.pid("extra")) && isAlive(pid))
            #expect(!node.types().contains("tool.removed slow"))
            try node.directory.file("go", "")
            try await eventually("the one that was put back") {
                node.types().filter { $0.hasSuffix(" slow") }.suffix(2) == ["tool.installed slow", "tool.started slow"]
                    && node.types().contains("tool.removed slow")
            }
            #expect(isAlive(kept) && !isAlive(pid))
            node.serve.signal(SIGTERM)
            #expect(try await node.serve.wait(within: .seconds(30)).code == 0)
        }
    }

    #if os(Linux)
        @Test func aNodeThatRunsOutOfDescriptorsGoesOnWithItsToolsAndTakesMoreLater() async throws {
            try await withServer { server in
                let node = try Node(server, tools: Node.sleeper("kept"))
                let kept = try await node.pid("kept")
                try await node.serve.waitForOutput("tool.started")
                func limit(_ number: Int) throws {
                    try SpawnedProcess.run(
                        "/usr/bin/prlimit",
                        ["--pid", "\(node.serve.pid)", "--nofile=\(number):"]
                    )
                }
                func reload() throws {
                    let tools = Node.sleeper("kept") + Node.sleeper("added")
                    _ = try node.directory.file("mesh.yaml", Node.manifest("me", tools))
                    node.serve.signal(SIGHUP)
                }
                // Enough for the file, and for nothing that a tool needs.
                try limit(try ProcessUse(of: node.serve.pid).descriptors + 8)
                try reload()
                try await node.serve.waitForError("added added")
                try await node.serve.waitForError("too many files are open")
                #expect(isAlive(kept) && node.serve.isRunning)
                // The start follows by itself, and was no crash.
                try limit(1_024)
                #expect(try await isAlive(node.pid("added")) && isAlive(kept))
                #expect(!node.types().contains("tool.crashed added"))
                node.serve.signal(SIGTERM)
                #expect(try await node.serve.wait(within: .seconds(30)).code == 0)
            }
        }

        @Test func aManifestThatTheSystemCannotReadIsNoMistakeInIt() async throws {
            // Reading it is an error of the device.
            let outcome = try await Command.run(["serve", "--config", "/proc/self/mem", "--port", "0"])
            #expect(outcome.code == 69 && outcome.error.contains("cannot be read"), "\(outcome.error)")
        }
    #endif

    @Test func SIGHUPIsHeardUnderNohup() async throws {
        try await withServer { server in
            let node = try Node(server, tools: Node.sleeper("kept"), launcher: ["/usr/bin/nohup"])
            let kept = try await node.pid("kept")
            let manifest = Node.manifest("me", Node.sleeper("kept") + Node.sleeper("added"))
            _ = try node.directory.file("mesh.yaml", manifest)
            node.serve.signal(SIGHUP)
            try await node.serve.waitForError("added added")
            #expect(try await isAlive(node.pid("added")) && isAlive(kept))
            node.serve.signal(SIGTERM)
            #expect(try await node.serve.wait(within: .seconds(15)).code == 0)
        }
    }

    @Test(arguments: NATSServers.all)
    func toolsAreControlledFromElsewhere(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let node = try Node(server, name: "\"my node.1\"", tools: Node.sleeper("whisper"))
            let pid = try await node.pid("whisper")
            try await node.serve.waitForOutput("tool.started")

            let stop = try await node.run("tool", "stop", "whisper")
            #expect(stop.code == 0 && stop.output == "whisper on \"my node.1\": stopped\n", "\(stop.error)")
            #expect(!isAlive(pid))
            let start = try await node.run("tool", "start", "whisper", "--node", "my node.1")
            #expect(start.code == 0 && start.output.contains("running"), "\(start.error)")
            let second = try await node.pid("whisper")
            let restart = try await node.run("tool", "restart", "whisper")
            #expect(restart.code == 0 && restart.output.contains("running"), "\(restart.error)")
            try await eventually("another process") { try await node.pid("whisper") != second }
            #expect(!isAlive(second))
            #expect(try await node.run("wait-for", "tool.stopped", "--tool", "whisper", "--since", "1m").code == 0)

            let unknown = try await node.run("tool", "stop", "zap", "--node", "my node.1")
            #expect(unknown.code == 69 && unknown.error.contains("not installed"), "\(unknown.error)")
            let nowhere = try await node.run("tool", "stop", "zap")
            #expect(nowhere.code == 69 && nowhere.error.contains("no node in the mesh has"), "\(nowhere.error)")
            let nobody = try await node.run("tool", "stop", "whisper", "--node", "other")
            #expect(nobody.code == 69 && nobody.error.contains("it does not run"), "\(nobody.error)")

            let twin = try Node(server, name: "twin", tools: Node.sleeper("whisper"))
            try await twin.serve.waitForOutput("tool.started")
            let which = try await node.run("tool", "stop", "whisper")
            #expect(which.code == 64 && which.error.contains("--node"), "\(which.error)")
            for node in [node, twin] {
                node.serve.signal(SIGTERM)
                let outcome = try await node.serve.wait(within: .seconds(15))
                #expect(outcome.code == 0, "\(outcome.error)")
            }
        }
    }

    /// A tool may read what other processes of its user have in their environment, its guard's first of all.
    @Test func theGuardOfAToolHasNothingOfItsNodesEnvironment() async throws {
        let directory = try TemporaryDirectory()
        let script = #"read -r _ _ _ _ guard _ </proc/self/stat; tr '\0' '\n' </proc/$guard/environ >seen.new"#
        let tool = """
            tools:
              - name: reader
                version: "1"
                command: [sh, -c, "\(script.replacing(#"\"#, with: #"\\"#)); mv seen.new seen; exec sleep 600"]
            """
        let serve = try Command(
            ["serve", "--port", "0", "--config", try directory.file("mesh.yaml", tool)],
            environment: ["MY_SECRET": "s3cr3t", "MESH_EVENTS_NATS_SERVER": NATSServers.first.path]
        )
        var seen: String?
        try await eventually("the guard's environment") {
            seen = try? directory.text(of: "seen")
            return seen != nil
        }
        #expect(seen?.contains("PATH=") == true && seen?.contains("s3cr3t") == false, "\(seen ?? "")")
        serve.signal(SIGTERM)
        #expect(try await serve.wait().code == 0)
    }

    @Test func aToolFindsTheMeshInItsEnvironment() async throws {
        try await withServer { server in
            let tools = """
                  - name: talker
                    version: "1.0.0"
                    command: [sh, -c, "mesh-events emit user.hello tool=$JB_TOOL_NAME; echo said it; exec sleep 600"]

                """
            let node = try Node(server, tools: tools)
            try await node.serve.waitForOutput("user.hello")
            let hello = try #require(node.events().first { $0.type == "user.hello" })
            #expect(hello.node == "me" && hello.data["tool"]?.string == "talker")
            try await node.serve.waitForError("[talker] said it")
        }
    }

    @Test(arguments: NATSServers.all)
    func aToolLogsInAsItsNodeDoes(binary: NATSServers.Binary) async throws {
        let login = "authorization { user: node, password: \"pass-w0rd\" }"
        try await withServer(binary, .init(extraConfiguration: login)) { server in
            let tools = """
                  - name: shell
                    version: "1.0.0"
                    command: [sh, -c, "mesh-events emit user.from.shell; exec sleep 600"]
                  - name: python
                    version: "1.0.0"
                    command: [\(Python.executable), emit.py]

                """
            let node = try Node(server, tools: tools, login: ["--user", "node", "--password", "pass-w0rd"]) {
                directory in
                _ = try directory.file(
                    "emit.py",
                    """
                    import asyncio, json, nats, os
                    async def main():
                        nc = await nats.connect(os.environ["JB_NATS_URL"])
                        event = {"type": "user.from.python", "node": os.environ["JB_NODE_NAME"],
                                 "timestamp": "2026-01-31T10:56:51Z", "data": {}}
                        await nc.publish("events.user.from.python", json.dumps(event).encode())
                        await nc.drain()
                    asyncio.run(main())
                    """
                )
            }
            try await node.serve.waitForOutput("user.from.shell")
            try await node.serve.waitForOutput("user.from.python")
            #expect(!node.serve.error.contains("pass-w0rd"))
        }
    }

    @Test func mistakesInTheManifestEndItAtOnceEachWithItsLine() async throws {
        let directory = try TemporaryDirectory()
        func serve(_ text: String) async throws -> Command.Outcome {
            try await Command.run(["serve", "--config", directory.file("bad.yaml", text), "--port", "0"])
        }
        let several = try await serve("node: [a]\ntools:\n  - name: x\n    comand: [ls]\n")
        #expect(several.code == 65, "\(several.error)")
        for part in ["bad.yaml:1:", "bad.yaml:4:", "did you mean", "mistakes; correct them"] {
            #expect(several.error.contains(part), "\(part) in \(several.error)")
        }
        let tool = "  - name: a\n    version: \"1\"\n    command: ls\n"
        let twice = try await serve("tools:\n" + tool + tool)
        #expect(twice.code == 65 && twice.error.contains("bad.yaml:5:5: a second tool named 'a'"), "\(twice.error)")
        let tabs = try await serve("tools:\n\t- name: x\n")
        #expect(tabs.code == 65 && tabs.error.contains("bad.yaml:2"), "\(tabs.error)")
        let huge = try await serve(String(repeating: "# nothing\n", count: 1_000_000))
        #expect(huge.code == 65 && huge.error.contains("1 MiB"), "\(huge.error)")
        let missing = try await Command.run(["serve", "--config", directory.path + "/none.yaml"])
        #expect(missing.code == 64 && missing.error.contains("does not exist"), "\(missing.error)")
        // A new start mends neither.
        let unit = NATSServers.packageDirectory + "/Packaging/mesh-events.service.in"
        let settings = try String(contentsOfFile: unit, encoding: .utf8).split(separator: "\n")
        #expect(settings.contains("RestartPreventExitStatus=64 65"))
    }
}
