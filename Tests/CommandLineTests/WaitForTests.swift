import Foundation
import LocalNATSServer
import TestSupport
import Testing

@Suite struct WaitForTests {
    private func emit(_ arguments: [String], to url: String) async throws {
        let outcome = try await Command.run(["emit", "--nats", url] + arguments)
        #expect(outcome.code == 0, "\(outcome.error)")
    }

    @Test(arguments: NATSServers.all, [true, false])
    func endsWhenItHappens(binary: NATSServers.Binary, hasStream: Bool) async throws {
        try await withServer(binary) { server in
            if hasStream { try await emit(["tool.started", "tool=whisper", "--node", "pi", "--ack"], to: server.url) }
            let wait = try Command([
                "wait-for", "tool.started", "--node", "pi", "--tool", "whisper", "--json", "--nats", server.url,
            ])
            try await wait.waitForError("waiting up to 60s for tool.started of tool \"whisper\" on node \"pi\"")
            try await emit(["tool.stopped", "tool=whisper", "--node", "pi"], to: server.url)
            try await emit(["tool.started", "tool=whisper", "--node", "other"], to: server.url)
            try await emit(["tool.started", "tool=other", "--node", "pi"], to: server.url)
            try await emit(["tool.started", "tool=whisper", "this=one", "--node", "pi"], to: server.url)
            let outcome = try await wait.wait()
            #expect(outcome.code == 0, "\(outcome.error)")
            #expect(outcome.lines.count == 1 && outcome.output.contains(#""this":"one""#), "\(outcome.output)")
        }
    }

    @Test func seventyFiveWhenTheTimeIsUp() async throws {
        try await withServer { server in
            let wait = try await looked(["wait-for", "tool.*", "--nats", server.url])
            #expect(wait.code == 75, "\(wait.error)")
            #expect(wait.output.isEmpty)
            #expect(wait.error.contains("tool.* did not happen within "), "\(wait.error)")
        }
    }

    /// Runs a command with a time-out in which it could look.
    private func looked(_ arguments: [String]) async throws -> Command.Outcome {
        for timeout in ["300ms", "3s"] {
            let outcome = try await Command.run(arguments + ["--timeout", timeout])
            guard outcome.error.contains("is not known") else { return outcome }
        }
        return try await Command.run(arguments + ["--timeout", "30s"])
    }

    @Test("whether it happened is not known before the server has answered", arguments: NATSServers.all)
    func unknown(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            try await emit(["user.done", "--ack"], to: server.url)
            let proxy = try await TCPProxy.start(before: server.port)
            proxy.treat { $0.latency = .seconds(1) }
            for since in [[], ["--since", "1h"]] {
                let wait = try await Command.run(
                    ["wait-for", "user.done", "--timeout", "2s", "--nats", proxy.url] + since
                )
                #expect(wait.code == 69, "\(wait.error)")
                #expect(wait.error.contains("whether user.done happened is not known"), "\(wait.error)")
            }
            let patient = ["wait-for", "user.done", "--since", "1h", "--timeout", "60s", "--nats", proxy.url]
            #expect(try await Command.run(patient).code == 0)
            await proxy.stop()
        }
    }

    @Test func anInterruptIsNoSuccess() async throws {
        try await withServer { server in
            let wait = try Command(["wait-for", "node.joined", "--nats", server.url])
            try await wait.waitForError("waiting")
            wait.signal(SIGINT)
            let outcome = try await wait.wait()
            #expect(outcome.code == 75)
            #expect(outcome.error.contains("interrupted before node.joined happened"), "\(outcome.error)")
        }
    }

    @Test func sinceLetsWhatWasStoredCount() async throws {
        try await withServer { server in
            let before = ["wait-for", "user.done", "--since", "1h", "--nats", server.url]
            let absent = try await Command.run(before)
            #expect(absent.code == 69 && absent.error.contains("MESH_EVENTS does not exist"), "\(absent.error)")
            try await emit(["user.done", "n=1", "--ack"], to: server.url)
            try await emit(["user.done", "n=2", "--ack"], to: server.url)
            let found = try await Command.run(before + ["--json"])
            #expect(found.code == 0 && found.output.contains(#""data":{"n":1},"sequence":1"#), "\(found.output)")
            let fresh = try await looked(["wait-for", "user.done", "--nats", server.url])
            #expect(fresh.code == 75)
        }
    }

    @Test func whatHappensWhileTheServerIsAwayIsNotMissed() async throws {
        let directory = try TemporaryDirectory()
        try await withServer(NATSServers.first, .init(storeDirectory: directory.path)) { server in
            try await emit(["user.first", "--ack"], to: server.url)
            let wait = try Command(["wait-for", "user.after", "--nats", server.url])
            try await wait.waitForError("waiting")
            await server.kill()
            try await wait.waitForError("connection is lost")
            try await server.restart()
            try await emit(["user.after", "--ack"], to: server.url)
            #expect(try await wait.wait().code == 0)
        }
    }

    @Test(arguments: [
        [], [""], ["a b"], ["tool.*", "--timeout", "0s"], ["tool.*", "--timeout", "soon"], ["tool.*", "--node", ""],
        ["tool.*", "--tool", ""], ["node.joined", "--tool", "x"], ["node.*", "--tool", "x"],
        ["tool.*", "--since", "tomorrow"], ["tool.*", "node.*"],
    ])
    func nonsenseIsAUsageError(arguments: [String]) async throws {
        let wait = try await Command.run(["wait-for", "--nats", "nats://127.0.0.1:1"] + arguments)
        #expect(wait.code == 64, "\(wait.error)")
        expectOneLine(wait)
        #expect(wait.error.contains("wait-for --help"))
    }

    @Test func noServer() async throws {
        let wait = try await Command.run(["wait-for", "tool.*", "--nats", "nats://127.0.0.1:1"])
        #expect(wait.code == 69)
        expectOneLine(wait)
    }
}
