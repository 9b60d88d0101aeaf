import Foundation
import LocalNATSServer
import MeshEvents
import TestSupport
import Testing

/// Commands that are told whom to trust: what others emit in a node's name changes nothing, and is said.
@Suite(.timeLimit(.minutes(3))) struct TrustCommandTests {
    /// A mesh with a node `pi`, whose key is trusted, and a stranger who says that it has left.
    private struct ForgedMesh {
        let server: LocalNATSServer
        let trust: String
        let key: String
        let directory: TemporaryDirectory

        init(_ server: LocalNATSServer) async throws {
            self.server = server
            directory = try TemporaryDirectory()
            key = directory.path + "/pi.nk"
            let made = try await Command.run(["key", "new", key, "--node", "pi"])
            trust = try directory.file("trust", made.output)
        }

        func run(_ arguments: String...) async throws -> Command.Outcome {
            try await Command.run(arguments + ["--nats", server.url])
        }

        func emit(_ type: String, _ fields: String..., signs: Bool) async throws {
            let sign = signs ? ["--sign-key", key] : []
            let emitted = try await Command.run(
                ["emit", type, "--ack", "--node", "pi", "--nats", server.url] + fields + sign
            )
            #expect(emitted.code == 0, "\(emitted.error)")
        }

        func story() async throws {
            try await emit("node.joined", "capabilities={\"tools\":1}", signs: true)
            try await emit("tool.started", "tool=whisper", signs: true)
            try await emit("tool.crashed", "tool=whisper", "error=forged", "restart_count=1", signs: false)
            try await emit("node.left", "reason=forged", signs: false)
        }
    }

    @Test(arguments: NATSServers.all)
    func statusExportAndToolBelieveSignedEventsAlone(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let mesh = try await ForgedMesh(server)
            try await mesh.story()
            let naive = try await mesh.run("status")
            #expect(naive.lines.first == "1 node: 1 left; 1 tool: 1 stopped" && !naive.error.contains("left out"))
            let status = try await mesh.run("status", "--trust", mesh.trust)
            #expect(status.lines.first == "1 node: 1 online; 1 tool: 1 running", "\(status.output)")
            #expect(status.error.contains("left out 2 events not signed by their node"))
            #expect(!status.output.contains("forged"))

            let file = mesh.directory.path + "/events.ndjson"
            let exported = try await mesh.run("export", "--trust", mesh.trust, "--out", file)
            #expect(exported.code == 0 && exported.error.contains("left out 2 events not signed by their node"))
            #expect(exported.error.contains("exported 2 events"))
            let lines = try mesh.directory.text(of: "events.ndjson")
            #expect(lines.split(separator: "\n").count == 2 && !lines.contains("forged"))
            let marked = try await mesh.run("export", "--trust", mesh.trust, "--signatures", "accept")
            #expect(marked.lines.count == 4 && marked.lines.last?.contains(#""signature":"unsigned""#) == true)

            // By the forged events no node has the tool; by the true ones one does, which is asked, and is not there.
            let lost = try await mesh.run("tool", "stop", "whisper", "--timeout", "1s")
            #expect(lost.code == 69 && lost.error.contains("no node in the mesh has a tool"), "\(lost.error)")
            let found = try await mesh.run("tool", "stop", "whisper", "--timeout", "1s", "--trust", mesh.trust)
            #expect(found.code == 69 && found.error.contains("\"pi\""), "\(found.error)")
        }
    }

    @Test(arguments: NATSServers.all)
    func waitForIsNotSatisfiedByAForgedEvent(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let mesh = try await ForgedMesh(server)
            // Without a stream, live; then by the stream.
            for kept in [false, true] {
                if kept { try await mesh.emit("node.joined", signs: true) }
                let wait = try Command(
                    ["wait-for", "node.left", "--node", "pi", "--timeout", "60s", "--trust", mesh.trust, "--json"]
                        + ["--nats", server.url]
                )
                try await wait.waitForError("waiting up to")
                for (reason, signs) in [("forged", false), ("genuine", true)] {
                    let sign = signs ? ["--sign-key", mesh.key] : []
                    let emitted = try await Command.run(
                        ["emit", "node.left", "reason=\(reason)", "--node", "pi", "--nats", server.url] + sign
                            + (kept ? ["--ack"] : [])
                    )
                    #expect(emitted.code == 0, "\(emitted.error)")
                }
                let outcome = try await wait.wait()
                #expect(outcome.code == 0 && outcome.lines.count == 1, "\(outcome.error)")
                #expect(outcome.output.contains(#""reason":"genuine""#))
                #expect(outcome.error.contains("left out 1 event not signed by their node"), "\(outcome.error)")
            }
            // Those that are stored already, too.
            try await mesh.emit("tool.crashed", "tool=a", "error=forged", signs: false)
            let stored = try await mesh.run(
                "wait-for",
                "tool.crashed",
                "--since",
                "1h",
                "--timeout",
                "1s",
                "--trust",
                mesh.trust
            )
            #expect(stored.code == 75 && stored.error.contains("left out 1 event"), "\(stored.error)")
        }
    }

    @Test func aNodeHeedsNoForgedSignOfAnotherOne() async throws {
        try await withServer { server in
            let mesh = try await ForgedMesh(server)
            let serve = try Command(
                [
                    "serve", "--node", "pi", "--sign-key", mesh.key, "--trust", mesh.trust, "--json", "--nats",
                    server.url,
                ]
            )
            try await serve.waitForOutput("node.joined")
            try await mesh.emit("node.joined", #"capabilities={"instance":"other","host":"evil"}"#, signs: false)
            try await serve.waitForOutput(#""signature":"unsigned""#)
            try await mesh.emit("user.end", signs: true)
            try await serve.waitForOutput("user.end")
            #expect(!serve.error.contains("another live node"))
            serve.signal(SIGTERM)
            let outcome = try await serve.wait()
            #expect(outcome.code == 0 && !outcome.error.contains("another live node"), "\(outcome.error)")
        }
    }

    @Test(arguments: [["status"], ["tool", "stop", "x"], ["wait-for", "node.left"], ["export"]])
    func aListThatCannotBeReadIsNamed(command: [String]) async throws {
        let outcome = try await Command.run(command + ["--trust", "/nowhere", "--nats", "nats://127.0.0.1:1"])
        #expect(outcome.code == 64 && outcome.error.contains("/nowhere cannot be read"), "\(outcome.error)")
    }
}
