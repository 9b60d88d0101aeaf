#if os(Linux)
    import Foundation
    import LocalNATSServer
    import TestSupport
    import Testing

    /// Signals in the first moments of a process, when it has not said yet what they do.
    @Suite(.timeLimit(.minutes(3))) struct EarlySignalTests {
        /// Waits until a process has a handler for a signal.
        private func waitUntilHandled(_ signal: Int32, by command: Command) async throws {
            try await eventually("a handler of signal \(signal)") {
                let status = (try? String(contentsOfFile: "/proc/\(command.pid)/status", encoding: .utf8)) ?? ""
                let caught = status.firstMatch(of: #/SigCgt:\s*([0-9a-f]+)/#).flatMap { UInt64($0.1, radix: 16) } ?? 0
                return caught & (1 << (signal - 1)) != 0 || !command.isRunning
            }
        }

        private static let commands = [
            ["serve", "--no-keep"], ["keep"], ["dashboard", "--listen", "127.0.0.1:0"], ["watch"], ["mcp"],
            ["on", "*", "--durable", "early", "--", "true"],
        ]

        @Test(arguments: commands, [SIGTERM, SIGINT])
        func aRequestToStopIsOneFromTheBeginning(_ arguments: [String], _ number: Int32) async throws {
            try await withServer { server in
                let end = arguments.firstIndex(of: "--") ?? arguments.endIndex
                let command = try Command(Array(arguments[..<end]) + ["--nats", server.url] + Array(arguments[end...]))
                try await waitUntilHandled(number, by: command)
                command.signal(number)
                let outcome = try await command.wait()
                #expect(outcome.code == 0, "\(outcome.error)")
            }
        }

        /// A node with a server of its own.
        private func node(_ manifest: String) throws -> Command {
            try Command(
                ["serve", "--no-keep", "--port", "0", "--config", manifest],
                environment: ["MESH_EVENTS_NATS_SERVER": NATSServers.first.path]
            )
        }

        @Test func aHangupBeforeTheNodeHasBegunIsAReload() async throws {
            let directory = try TemporaryDirectory()
            let manifest = try directory.file("mesh.yaml", "node: me\n")
            let serve = try node(manifest)
            try await waitUntilHandled(SIGHUP, by: serve)
            for _ in 0..<100 { serve.signal(SIGHUP) }
            try await serve.waitForError("\(manifest) read again")
            #expect(serve.isRunning)
            serve.signal(SIGTERM)
            #expect(try await serve.wait().code == 0)
        }

        @Test func aStormOfHangupsEndsWithTheLastFile() async throws {
            let directory = try TemporaryDirectory()
            let manifest = try directory.file("mesh.yaml", "node: me\n")
            let serve = try node(manifest)
            try await serve.waitForOutput("node.joined")
            for _ in 0..<3_000 { serve.signal(SIGHUP) }
            _ = try directory.file("mesh.yaml", "node: me\ntools:\n  - {name: last, command: [sleep, \"600\"]}\n")
            serve.signal(SIGHUP)
            try await serve.waitForError("read again: added last")
            try await serve.waitForOutput("tool.started")
            serve.signal(SIGTERM)
            #expect(try await serve.wait().code == 0)
        }
    }
#endif
