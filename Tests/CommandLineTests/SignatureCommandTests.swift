import Foundation
import LocalNATSServer
import TestSupport
import Testing

/// Keys, signing and trust lists on the command line.
@Suite struct SignatureCommandTests {
    /// Runs `body` with a directory, a key of node-a in it and a trust list that has it.
    private func withKey(_ body: (_ key: String, _ trust: String, _ directory: URL) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "signatures-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let key = directory.appending(path: "node-a.nk").path
        let made = try await Command.run(["key", "new", key, "--node", "node-a"])
        #expect(made.code == 0, "\(made.error)")
        let trust = directory.appending(path: "trust").path
        try made.output.write(toFile: trust, atomically: true, encoding: .utf8)
        try await body(key, trust, directory)
    }

    @Test func aKeyIsMadeOnceAndShown() async throws {
        try await withKey { key, trust, _ in
            let line = try String(contentsOfFile: trust, encoding: .utf8)
            #expect(line.hasPrefix("node-a U") && line.utf8.count == 64)
            #expect(try await Command.run(["key", "show", key, "--node", "node-a"]).output == line)
            let again = try await Command.run(["key", "new", key, "--node", "node-a"])
            #expect(again.code == 64 && again.error.contains("exists already"))
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: key)
            let open = try await Command.run(["emit", "user.x", "--sign-key", key])
            #expect(open.code == 64 && open.error.contains("chmod 600"))
        }
    }

    @Test(arguments: NATSServers.all)
    func whatItsNodeHasNotSignedIsLeftOutOrMarked(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            try await withKey { key, trust, _ in
                func run(_ arguments: String...) async throws -> Command.Outcome {
                    try await Command.run(arguments + ["--nats", server.url])
                }
                let watch = try Command(
                    ["watch", "user.x", "--limit", "3", "--trust", trust, "--signatures", "warn", "--nats", server.url]
                )
                try await watch.waitForError("watching")
                for (node, signs) in [("node-a", true), ("node-a", false), ("node-b", true)] {
                    let sign = signs ? ["--sign-key", key] : []
                    let emitted = try await Command.run(
                        ["emit", "user.x", "signs=\(signs)", "--ack", "--node", node, "--nats", server.url] + sign
                    )
                    #expect(emitted.code == 0, "\(emitted.error)")
                }
                let watched = try await watch.wait()
                #expect(watched.lines.map { $0.prefix(10) } == ["signed    ", "unsigned  ", "forged    "])
                #expect(watched.error.contains(#"user.x of "node-b" is forged: the key is not one of the node"#))

                let marked = try await run("list", "user.x", "--json", "--trust", trust, "--signatures", "accept")
                #expect(marked.lines.map { $0.contains(#""signature":"signed""#) } == [true, false, false])
                #expect(marked.lines.last?.contains(#""signature":"forged""#) == true)
                let listed = try await run("list", "user.x", "--json", "--trust", trust)
                #expect(listed.lines.count == 1 && listed.error.contains("left out 2 events"))
                #expect(listed.lines.first?.contains("signature") == false)
                let replayed = try await run("replay", "user.x", "--json", "--trust", trust)
                #expect(replayed.lines.count == 1 && replayed.error.contains("left out 2 events"))
                let plain = try await run("list", "user.x", "--json")
                #expect(plain.lines.count == 3)
            }
        }
    }

    @Test func aCommandRunsOnlyForWhatIsSigned() async throws {
        try await withServer { server in
            try await withKey { key, trust, directory in
                let file = directory.appending(path: "ran").path
                let on = try Command(
                    ["on", "user.x", "--durable", "d", "--trust", trust, "--nats", server.url, "--"]
                        + ["sh", "-c", "cat >>\(file)"]
                )
                func emit(_ number: Int, _ sign: [String]) async throws {
                    let emitted = try await Command.run(
                        ["emit", "user.x", "n=\(number)", "--ack", "--node", "node-a", "--nats", server.url] + sign
                    )
                    #expect(emitted.code == 0, "\(emitted.error)")
                }
                try await on.waitForError("running sh")
                try await emit(1, [])
                try await emit(2, ["--sign-key", key])
                try await eventually("the command to have run") {
                    (try? String(contentsOfFile: file, encoding: .utf8))?.contains(#""n":2"#) == true
                }
                on.signal(SIGTERM)
                #expect(try await on.wait().code == 0)
                #expect(try String(contentsOfFile: file, encoding: .utf8).contains(#""n":1"#) == false)
                let letters = try await Command.run(["list", "user.dead_letter.d", "--nats", server.url])
                #expect(letters.lines.count == 1 && letters.output.contains("not signed by its node"))
            }
        }
    }

    /// The events of a node, and those of its tools, are signed with the node's key.
    @Test func aNodeSignsItsEventsAndItsToolsDo() async throws {
        try await withKey { key, trust, directory in
            let manifest = directory.appending(path: "mesh.yaml")
            let tool = "#!/bin/sh\nmesh-events emit user.done --ack && sleep 60\n"
            let script = directory.appending(path: "tool.sh")
            try tool.write(to: script, atomically: true, encoding: .utf8)
            try "node: node-a\ntools:\n  - name: t\n    version: \"1\"\n    command: [sh, \(script.path)]\n"
                .write(to: manifest, atomically: true, encoding: .utf8)
            try await withServer { server in
                let serve = try Command(
                    ["serve", "--config", manifest.path, "--sign-key", key, "--nats", server.url]
                )
                try await serve.waitForError("is in the mesh")
                try await eventually("the tool's event") {
                    try await Command.run(["list", "user.done", "--trust", trust, "--nats", server.url]).lines.count
                        == 1
                }
                serve.signal(SIGTERM)
                #expect(try await serve.wait().code == 0)
                let all = try await Command.run(["list", "--limit", "1000", "--trust", trust, "--nats", server.url])
                #expect(all.error.contains("left out") == false, "\(all.error)")
                #expect(all.output.contains("node.joined") && all.output.contains("node.left"))
            }
        }
    }

    @Test func aPolicyNeedsATrustList() async throws {
        let outcome = try await Command.run(["watch", "--signatures", "accept"])
        #expect(outcome.code == 64 && outcome.error.contains("--signatures needs --trust"))
        let missing = try await Command.run(["watch", "--trust", "/nowhere"])
        #expect(missing.code == 64 && missing.error.contains("/nowhere cannot be read"))
    }
}
