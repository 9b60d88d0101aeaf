import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import TestSupport
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Programs beside the mesh that hang: they never slow, block or end a node.
@Suite("Faults of neighbours", .serialized, .timeLimit(.minutes(10)))
struct NeighbourFaultTests {
    /// How long the neighbour hangs, in seconds.
    private static let seconds = ChaosScale.number(8, full: 60)

    /// A node with metrics, one tool that runs and one that crashes all the time, in a mesh so large that an answer of
    /// `/metrics` does not fit into what lies between two processes.
    private final class Node: Sendable {
        let program: SupervisedProgram
        let metrics: URL

        init(_ server: LocalNATSServer) async throws {
            let directory = try TemporaryDirectory()
            let manifest = try directory.file(
                "mesh.yaml",
                """
                node: pi
                health: {interval: 1s}
                tools:
                  - name: steady
                    version: "1"
                    command: [sleep, "3600"]
                  - name: crashing
                    version: "1"
                    command: [sh, -c, "exit 3"]
                    restart: {policy: always, max: 10000, delay: 100ms, max_delay: 100ms}
                """
            )
            let program = SupervisedProgram(
                "pi",
                [
                    "serve", "--config", manifest, "--nats", server.url, "--metrics", "127.0.0.1:0",
                    "--metrics-series", "300000",
                ],
                in: directory
            )
            try program.start()
            try await eventually("the node to answer metrics; it said: \(program.said)") {
                program.said.contains("the metrics are at http")
            }
            let match = try #require(program.said.firstMatch(of: #/the metrics are at (http://\S+/metrics)/#))
            self.program = program
            metrics = try #require(URL(string: String(match.1)))
        }

        /// Asks for the metrics, as a scraper that does not hang; how long that took.
        func scrape() async throws -> Duration {
            let begun = ContinuousClock.now
            let request = URLRequest(url: metrics, timeoutInterval: 60)
            let (data, response) = try await URLSession.shared.data(for: request)
            guard (response as? HTTPURLResponse)?.statusCode == 200, !data.isEmpty else {
                throw TestSupportError("The node has not answered its metrics: \(response)")
            }
            return .now - begun
        }
    }

    /// What a node does beside a neighbour that hangs is what it does without one.
    ///
    /// - Parameters:
    ///   - fault: what is wrong with the neighbour.
    ///   - hanging: starts the neighbour; it hangs when this returns, for as long as the result lives.
    private func expectNodeGoesOn<Neighbour>(
        beside fault: String,
        hanging: (LocalNATSServer, Node) async throws -> Neighbour
    ) async throws {
        try await withServer(NATSServers.current, .init(syncsEachWrite: false)) { server in
            let emitter = try await openBus(at: server.url)
            let store = JetStreamStore(try await connect(server))
            let tools = ChaosScale.number(5_000, full: 10_000)
            for first in stride(from: 0, to: tools, by: 500) {
                let events = (first..<first + 500).map { number in
                    Event("tool.started", node: "n\(number / 100)", data: ["tool": .string("t\(number)")])
                }
                _ = try await emitter.emit(contentsOf: events)
            }
            let node = try await Node(server)
            defer { node.program.kill() }
            try await eventually("the whole mesh in the metrics") {
                let (data, _) = try await URLSession.shared.data(from: node.metrics)
                return String(decoding: data, as: UTF8.self).contains("tool=\"t\(tools - 1)\"")
            }
            let memory = try ProcessUse(of: node.program.pid).residentBytes
            let neighbour = try await hanging(server, node)

            let begun = Timestamp.now
            let end = ContinuousClock.now + .seconds(Self.seconds)
            let remote = RemoteTools(node: "pi", connection: try await connect(server))
            var tally = EmitTally()
            var (scrapes, slowest, restarts) = (0, Duration.zero, 0)
            repeat {
                for _ in 0..<20 { await tally.emitBatch(on: emitter, paddings: Array(repeating: 100, count: 50)) }
                slowest = max(slowest, try await node.scrape())
                scrapes += 1
                let result = try await remote.send(.restart("steady"), timeout: .seconds(60))
                #expect(result.state.rawValue == "running")
                restarts += 1
            } while .now < end

            // A sign of life each second, and the crashes: half of what there should be is enough on a busy machine.
            let expected: [(EventType, Int)] = [(.nodeHealth, Self.seconds / 2), (.toolCrashed, Self.seconds)]
            for (type, count) in expected {
                try await eventually("the node's \(type.rawValue)", reaches: count) {
                    let history = EventHistory(store: store, logger: quiet)
                    let query = EventHistory.Query(
                        matching: EventPattern(type: type),
                        since: begun,
                        node: "pi",
                        limit: count
                    )
                    return try await history.page(query).events.count
                }
            }
            let growth = try ProcessUse(of: node.program.pid).residentBytes - memory
            #expect(growth < 256 << 20, "\(growth >> 20) MiB")
            #expect(tally.refused.isEmpty && tally.unknown.isEmpty)
            withExtendedLifetime(neighbour) {}
            #expect(try await node.program.end() == 0, "\(node.program.said)")
            #expect(node.program.said.contains("node.left"), "it has left by itself")
            let row = try await tally.row(
                fault,
                store,
                note: "\(Self.seconds) s; \(scrapes) other scrapes, the slowest \(slowest); \(restarts) restarts; "
                    + "memory \(growth >> 20) MiB more"
            )
            row.report()
        }
    }

    /// Eight connections of one scraper, each of which has begun to read an answer.
    private static let scraper = """
        import os, socket, time

        held = []
        for _ in range(8):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(60)
            connection.connect(("127.0.0.1", int(os.environ["PORT"])))
            connection.sendall(b"GET /metrics HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n")
            assert connection.recv(1) == b"H"
            held.append(connection)
        print("reading")
        while True:
            time.sleep(0.1)
            for connection in held:
                try:
                    connection.recv(16)
                except OSError:
                    pass
        """

    @Test("a scraper stopped (SIGSTOP) while it reads: the node and other scrapers go on")
    func scraper() async throws {
        try await expectNodeGoesOn(beside: "scraper stopped (SIGSTOP) while it reads") { _, node in
            let port = try #require(node.metrics.port)
            let script = try Python.start(Self.scraper, environment: ["PORT": "\(port)"])
            try await script.waitForOutput("reading")
            try #require(script.output.contains("reading"), "\(script.output)")
            script.signal(SIGSTOP)
            return script
        }
    }

    /// `mesh-events mcp` with a client that has sent requests, and takes no answer.
    private struct Agent {
        let process: SpawnedProcess
        let directory: TemporaryDirectory
        let input = Pipe()
        let output = Pipe()

        init(_ server: LocalNATSServer, requests: Int) async throws {
            directory = try TemporaryDirectory()
            process = try SpawnedProcess(
                try BuildProducts.executable("mesh-events"),
                ["mcp", "--nats", server.url],
                environment: ["HOME": directory.path, "PATH": "/usr/bin:/bin"],
                input: input.fileHandleForReading,
                output: output.fileHandleForWriting
            )
            let begin = #"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#
            let calls = (1...requests).map { number in
                #"{"jsonrpc":"2.0","id":\#(number),"method":"tools/call","params":{"name":"list_events","arguments":{"#
                    + #""limit":200}}}"#
            }
            let text = ([begin] + calls).map { $0 + "\n" }.joined()
            try input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
            // The first byte of the first answer; the others stay where they are.
            let descriptor = output.fileHandleForReading.fileDescriptor
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
            var byte: UInt8 = 0
            try await eventually("the first answer") { read(descriptor, &byte, 1) == 1 }
        }
    }

    @Test("an agent's client that sends requests and reads no answer: the node goes on")
    func agent() async throws {
        try await expectNodeGoesOn(beside: "agent's client that reads nothing") { server, _ in
            try await Agent(server, requests: 300)
        }
    }
}
