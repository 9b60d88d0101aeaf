import Foundation
import LocalNATSServer
import TestSupport
import Testing

@Suite struct ServeTests {
    private func start(_ arguments: [String], binary: NATSServers.Binary = NATSServers.first) throws -> Command {
        try Command(["serve", "--node", "me"] + arguments, environment: ["MESH_EVENTS_NATS_SERVER": binary.path])
    }

    /// The URL on which it says that it listens.
    private func url(of serve: Command) async throws -> String {
        try await serve.waitForOutput("node.joined")
        return String(try #require(serve.error.firstMatch(of: #/listens on (nats://127\.0\.0\.1:\d+)/#)).1)
    }

    /// How often a node says how it is depends on how long it takes.
    private func withoutHealth(_ lines: [String]) -> [String] { lines.filter { !$0.contains("node.health") } }

    /// Whether somebody answers there.
    private func isReachable(_ url: String) async throws -> Bool {
        try await Command.run(["list", "--nats", url]).code == 0
    }

    @Test(arguments: NATSServers.all, [SIGINT, SIGTERM])
    func joinsShowsAndLeaves(binary: NATSServers.Binary, signal: Int32) async throws {
        let directory = try TemporaryDirectory()
        let store = directory.path + "/store"
        let serve = try start(["--port", "0", "--store-dir", store, "--json"], binary: binary)
        let url = try await url(of: serve)
        let emit = try await Command.run(["emit", "user.hello", "a=1", "--node", "you", "--nats", url])
        #expect(emit.code == 0, "\(emit.error)")
        try await serve.waitForOutput("user.hello")
        serve.signal(signal)
        let outcome = try await serve.wait(within: .seconds(8))
        #expect(outcome.code == 0, "\(outcome.error)")
        let types = try outcome.lines.map { try #require($0.firstMatch(of: #/^\{"type":"([^"]+)"/#)).1 }
        #expect(types.filter { $0 != "node.health" } == ["node.joined", "user.hello", "node.left"])
        #expect(types.contains("node.health"))
        #expect(outcome.lines.first?.contains(#""tools":0"#) == true)
        #expect(outcome.lines.last?.hasSuffix(#""data":{"reason":"shutdown"}}"#) == true)
        #expect(try await !isReachable(url), "the server is still there")

        // A new server on the same store still has it all.
        let again = try start(["--port", "0", "--store-dir", store], binary: binary)
        let newURL = try await self.url(of: again)
        let list = try await Command.run(["list", "--json", "--nats", newURL])
        let kept = withoutHealth(list.lines)
        #expect(kept.count == 4)
        #expect(kept[2].contains("node.left") && kept[2].contains(#""node":"me""#))
        again.signal(SIGTERM)
        #expect(try await again.wait().code == 0)
    }

    @Test func leavesAfterTheTimeGiven() async throws {
        let outcome = try await start(["--port", "0", "--for", "1s", "--json"]).wait()
        #expect(outcome.code == 0, "\(outcome.error)")
        #expect(withoutHealth(outcome.lines).count == 2 && outcome.output.contains("node.left"))
    }

    @Test(arguments: NATSServers.all)
    func joinsTheServerThatIsNamed(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let serve = try Command(["serve", "--node", "guest"], environment: ["JB_NATS_URL": server.url])
            try await serve.waitForOutput("node.joined")
            #expect(serve.error.contains("in the mesh of \(server.url)"), "\(serve.error)")
            serve.signal(SIGTERM)
            #expect(try await serve.wait().code == 0)
            #expect(server.isRunning)
            let list = try await Command.run(["list", "--json", "--nats", server.url])
            #expect(withoutHealth(list.lines).count == 2 && list.output.contains("node.left"))
        }
    }

    @Test func aSecondSignalEndsItAtOnceAndTheServerGoesToo() async throws {
        try await withServer { server in
            let serve = try Command(["serve", "--node", "guest", "--nats", server.url])
            try await serve.waitForOutput("node.joined")
            server.suspend()
            let pid = try #require(server.pid)
            try await eventually("the server to stand still") { TestProcess.isSuspended(pid) }
            // node.left cannot be stored now, so it waits.
            serve.signal(SIGINT)
            // One that follows at once is the same wish, a later one is not: by itself it would wait for 10 seconds.
            serve.signal(SIGINT)
            try await eventually("the second signal to end it") {
                serve.signal(SIGINT)
                return !serve.isRunning
            }
            #expect(try await serve.wait().code == 128 + SIGINT)
            server.resume()
        }
    }

    @Test func theServerDoesNotOutliveAKilledServe() async throws {
        let serve = try start(["--port", "0"])
        let url = try await url(of: serve)
        #expect(try await isReachable(url))
        serve.signal(SIGKILL)
        _ = try await serve.wait()
        try await eventually("the server to end") { try await !isReachable(url) }
    }

    @Test func aServerThatIsKilledIsStartedAgain() async throws {
        let serve = try start(["--port", "0", "--json"])
        let url = try await url(of: serve)
        let pids = try children(of: serve.pid)
        #expect(!pids.isEmpty)
        for pid in pids { kill(pid, SIGKILL) }
        try await serve.waitForError("starting it again")
        try await serve.waitForError("connected again")
        #expect(try await Command.run(["emit", "user.after", "--ack", "--nats", url]).code == 0)
        try await serve.waitForOutput("user.after")
        serve.signal(SIGTERM)
        #expect(try await serve.wait().code == 0)
        #expect(serve.output.contains("node.left"))
    }

    @Test func aServerThatEndsAgainAndAgainIsGivenUp() async throws {
        let serve = try start(["--port", "0"])
        let url = try await url(of: serve)
        for _ in 0..<5 {
            try await eventually("the server to answer") { try await isReachable(url) }
            for pid in try children(of: serve.pid) { kill(pid, SIGKILL) }
        }
        let outcome = try await serve.wait()
        #expect(outcome.code == 69)
        #expect(outcome.error.contains("nats-server ended 5 times within a minute"), "\(outcome.error)")
    }

    @Test func aPageThatCannotListenEndsItAndTheNodeLeaves() async throws {
        try await withServer { server in
            let taken = "127.0.0.1:\(server.url.split(separator: ":").last ?? "")"
            let outcome = try await Command.run(
                ["serve", "--node", "me", "--nats", server.url, "--dashboard", "--dashboard-listen", taken]
            )
            #expect(outcome.code == 64)
            #expect(outcome.error.contains("the dashboard cannot listen on \(taken)"), "\(outcome.error)")
            let list = try await Command.run(["list", "--json", "--nats", server.url])
            #expect(
                withoutHealth(list.lines).last?.contains(#""data":{"reason":"cancelled"}"#) == true,
                "\(list.output)"
            )
        }
    }

    @Test func leavesWhenItsReaderGoes() async throws {
        try await withServer { server in
            let mesh = try BuildProducts.executable("mesh-events")
            let directory = try TemporaryDirectory()
            let script = try directory.script(
                "pipe",
                "{ '\(mesh)' serve --json --node me --nats \(server.url) 2>/dev/null; echo $? >'\(directory.path)/code'; } | head -n 1 >/dev/null"
            )
            let process = try SpawnedProcess(script)
            try await eventually("the pipeline to end") { !process.isRunning }
            #expect(try directory.text(of: "code") == "0\n")
            let list = try await Command.run(["list", "--nats", server.url])
            #expect(list.output.contains("node.left"))
        }
    }

    @Test func aStreamWithAnotherConfigurationIsUsedAsItIsAndThatIsSaid() async throws {
        try await withServer { server in
            try await Python.run(
                """
                import asyncio, nats, os
                async def main():
                    nc = await nats.connect(os.environ["URL"])
                    await nc.jetstream().add_stream(name="MESH_EVENTS", subjects=["events.>"], max_msgs=77)
                    await nc.close()
                asyncio.run(main())
                """,
                url: server.url
            )
            let outcome = try await Command.run(["serve", "--for", "1s", "--nats", server.url])
            #expect(outcome.code == 0, "\(outcome.error)")
            #expect(outcome.error.contains("max_msgs: asked 10000, found 77"), "\(outcome.error)")
        }
    }

    private func children(of parent: Int32) throws -> [Int32] {
        let text = try SpawnedProcess.run("/bin/ps", ["-A", "-o", "pid=,ppid="])
        return text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ").compactMap { Int32($0) }
            return words.count == 2 && words[1] == parent ? words[0] : nil
        }
    }
}
