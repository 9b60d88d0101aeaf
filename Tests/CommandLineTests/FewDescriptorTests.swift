#if os(Linux)
    import Foundation
    import LocalNATSServer
    import TestSupport
    import Testing

    #if canImport(FoundationNetworking)
        import FoundationNetworking
    #endif

    /// Programs that may have few files open.
    @Suite(.timeLimit(.minutes(5)), .serialized) struct FewDescriptorTests {
        private static func limited(to number: Int) -> [String] {
            ["/usr/bin/prlimit", "--nofile=\(number):\(number)"]
        }

        private static let environment = ["MESH_EVENTS_NATS_SERVER": NATSServers.first.path]

        @Test(arguments: [10, 16, 40])
        func aNodeThatNeedsMoreSaysSoAtOnce(limit: Int) async throws {
            let outcome = try await Command(
                ["serve", "--port", "0", "--dashboard", "--dashboard-listen", "127.0.0.1:0"],
                environment: Self.environment,
                launcher: Self.limited(to: limit)
            ).wait()
            #expect(outcome.code == 64, "\(outcome.error)")
            #expect(outcome.error.contains("file descriptors, and may have \(limit) only: raise the limit"))
            #expect(outcome.output.isEmpty)
        }

        @Test(arguments: [["list"], ["emit", "user.hello"], ["status"], ["dashboard"], ["mcp"]], [10, 16])
        func aCommandThatNeedsMoreSaysSoAtOnce(arguments: [String], limit: Int) async throws {
            let outcome = try await Command(arguments, launcher: Self.limited(to: limit)).wait()
            #expect(outcome.code == 64, "\(outcome.error)")
            #expect(outcome.error.contains("raise the limit"))
        }

        @Test func aCommandOfAnEventWaitsForThem() async throws {
            try await withServer { server in
                let directory = try TemporaryDirectory()
                let script = "echo $MESH_EVENT_SEQUENCE >> '\(directory.path)/ran'"
                let on = try Command([
                    "on", "user.*", "--durable", "few", "--max-deliveries", "1", "--nats", server.url, "--", "sh", "-c",
                    script,
                ])
                try await on.waitForError("running sh for")
                func limit(_ number: Int) throws {
                    try SpawnedProcess.run("/usr/bin/prlimit", ["--pid", "\(on.pid)", "--nofile=\(number):"])
                }
                try limit(try ProcessUse(of: on.pid).descriptors + 8)
                #expect(try await Command.run(["emit", "user.hello", "--ack", "--nats", server.url]).code == 0)
                // Until now it could not run; the event comes meanwhile.
                try await Task.sleep(for: .seconds(2))
                #expect(on.isRunning && !FileManager.default.fileExists(atPath: "\(directory.path)/ran"))
                try limit(1_024)
                try await eventually("the command to run: \(on.error)") { (try? directory.text(of: "ran")) == "1\n" }
                on.signal(SIGTERM)
                #expect(try await on.wait().code == 0)
            }
        }

        /// A limit, and how many tools it leaves room for.
        @Test(arguments: [(64, 1), (256, 2)])
        func connectionsThatHangTakeNeitherTheProcessorNorWhatToolsNeed(limit: Int, count: Int) async throws {
            let directory = try TemporaryDirectory()
            let tools = (1...count).map { "  - {name: tool\($0), command: [sleep, \"600\"]}\n" }.joined()
            let manifest = try directory.file("mesh.yaml", "node: me\ntools:\n\(tools)")
            let serve = try Command(
                [
                    "serve", "--no-keep", "--port", "0", "--config", manifest, "--dashboard", "--dashboard-listen",
                    "127.0.0.1:0",
                ],
                environment: Self.environment,
                launcher: Self.limited(to: limit)
            )
            func pids() -> [Int32] {
                serve.error.matches(of: #/tool started \(pid=(\d+)\)/#).compactMap { Int32($0.1) }
            }
            try await eventually("the tools to be started: \(serve.error)") { pids().count == count }
            try await serve.waitForError("the dashboard is at")
            let url = try #require(serve.error.firstMatch(of: #/the dashboard is at (http://\S+:(\d+)/)/#))
            let (page, port) = (try #require(URL(string: String(url.1))), try #require(Int(url.2)))

            // From many addresses: for each alone there is a limit.
            var held: [HeldConnection] = []
            for number in 0..<(2 * limit) {
                let address = "127.0.0.\(2 + number % 200)"
                held.append(try await HeldConnection(port: port, sending: "GET / HTTP/1.1\r\n", from: address))
            }
            // Not a wait for something: what it takes meanwhile is measured.
            let before = try ProcessUse(of: serve.pid).processorTime
            try await Task.sleep(for: .seconds(5))
            let taken = try ProcessUse(of: serve.pid).processorTime - before
            #expect(taken < .seconds(2), "\(taken) of 5 s")

            let first = try #require(pids().first)
            kill(first, SIGKILL)
            try await eventually("another start of the tool: \(serve.error)") { pids().count == count + 1 }
            #expect(!serve.output.contains("gave up"), "\(serve.output)")

            for connection in held { connection.close() }
            try await eventually("the page to answer") {
                let answer = try? await URLSession.shared.data(from: page).1
                return (answer as? HTTPURLResponse)?.statusCode == 200
            }
            serve.signal(SIGTERM)
            #expect(try await serve.wait().code == 0)
        }
    }
#endif
