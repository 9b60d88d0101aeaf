import Foundation
import MeshAuth
import TestSupport
import Testing

@Suite struct AuthTests {
    @Test(arguments: NATSServers.all)
    func aServedMeshLetsInWhoHasAKeyAndToEachWhatItsRoleAllows(binary: NATSServers.Binary) async throws {
        let bench = try await AuthBench(binary)
        #expect(try await bench.run("tool", "emit", "user.hello", "--ack").code == 0)
        #expect(try await bench.run("observer", "list").output.contains("user.hello"))
        #expect(try await bench.run("observer", "status").output.contains("me"))
        let refusals = [
            try await bench.run("observer", "emit", "user.x"), try await bench.run("tool", "emit", "node.left"),
            try await bench.run("tool", "emit", "tool.crashed", "--ack"),
            try await bench.run("observer", "stream", "purge", "--yes"),
            try await bench.run("tool", "stream", "purge", "--yes"),
            try await bench.run("node", "stream", "purge", "--yes"),
            try await bench.run("observer", "tool", "stop", "x", "--node", "me"),
        ]
        for refusal in refusals {
            #expect(refusal.code == 69)
            #expect(refusal.error.contains("the server forbids this user to "), "\(refusal.error)")
            #expect(refusal.error.contains("of the roles of `mesh-events auth`"), "\(refusal.error)")
            #expect(refusal.error.split(separator: "\n").count == 1, "\(refusal.error)")
        }
        let stranger = try await bench.run(nil, "list")
        #expect(stranger.code == 69 && stranger.error.contains("refused the login"), "\(stranger.error)")
        let control = try await bench.run("admin", "tool", "stop", "x", "--node", "me")
        #expect(control.code == 69 && control.error.contains("is not installed"), "\(control.error)")
        #expect(try await bench.run("admin", "stream", "purge", "user.hello", "--yes").output == "deleted 1 event\n")
        #expect(!bench.serve.output.contains("node.left"), "a tool was believed")
        try await bench.end()
    }

    @Test(arguments: NATSServers.all)
    func usersComeAndGoWhileItServes(binary: NATSServers.Binary) async throws {
        let bench = try await AuthBench(binary)
        let added = try await Command.run(["auth", "add", bench.path, "alice", "--role", "observer"])
        #expect(added.code == 0, "\(added.error)")
        #expect(added.output.contains("alice may log in as observer"))
        #expect(try await bench.run("alice", "list").code == 69)
        bench.serve.signal(SIGHUP)
        try await bench.serve.waitForError("6 users may log in")
        try await eventually("alice to get in") { try await bench.run("alice", "list").code == 0 }
        #expect(try await Command.run(["auth", "remove", bench.path, "tool"]).code == 0)
        bench.serve.signal(SIGHUP)
        try await bench.serve.waitForError("5 users may log in")
        let list = try await Command.run(["auth", "list", bench.path])
        #expect(
            list.lines.map { $0.split(separator: " ").first ?? "" } == [
                "USER", "admin", "alice", "node", "observer", "operator", "certificate:",
            ]
        )
        let again = try await Command.run(["auth", "add", bench.path, "alice", "--role", "admin"])
        #expect(again.code == 64 && again.error.contains("there is a user alice already"))
        #expect(try await Command.run(["auth", "add", bench.path, "bob", "--role", "king"]).code == 64)
        #expect(try await Command.run(["auth", "init", bench.path]).code == 64)
        #expect(try await Command.run(["auth", "list", "/no/such"]).code == 64)
        try await bench.end()
    }

    @Test func aToolLogsInAsAToolNotAsItsNode() async throws {
        let manifest = """
            tools:
              - name: probe
                version: "1"
                command:
                  - sh
                  - -c
                  - |
                    mesh-events emit user.key key="$MESH_EVENTS_NKEY" token="$MESH_EVENTS_TOKEN" --ack
                    mesh-events emit node.left && mesh-events emit user.forged
                    sleep 600
            """
        let bench = try await AuthBench(NATSServers.first, manifest: manifest)
        try await bench.serve.waitForOutput("user.key")
        #expect(bench.serve.output.contains(#""key":"\#(bench.path)/tool.nk","token":"""#))
        try await bench.serve.waitForError("the server forbids this user to publish")
        #expect(!bench.serve.output.contains("user.forged") && !bench.serve.output.contains("node.left"))
        try await bench.end()
    }

    /// Tools in other languages know neither NKeys nor MESH_EVENTS_TLS_CA.
    @Test(arguments: NATSServers.all)
    func aToolWithThePythonSDKWorksUnchanged(binary: NATSServers.Binary) async throws {
        let scripts = try TemporaryDirectory()
        let manifest = """
            tools:
              - name: whisper
                version: "1"
                command: [\(Python.executable), \(try scripts.file("tool.py", PythonSDK.tool))]
                config: {model: base}
                env: {PYTHONUNBUFFERED: "1"}
                restart: never
            """
        let bench = try await AuthBench(binary, manifest: manifest)
        try await bench.serve.waitForError("emitted")
        #expect(try await bench.run("tool", "emit", "user.answer", "text=Grüße").code == 0)
        try await bench.serve.waitForError(#"user.transcript me {"file": "\u00e4.wav", "model": "base"}"#)
        try await bench.serve.waitForError("user.answer")
        try await bench.serve.waitForOutput("tool.stopped")
        #expect(!bench.serve.output.contains("tool.crashed"))
        let list = try await bench.run("observer", "list", "user.>")
        #expect(list.lines.count == 3, "\(list.output)")
        try await bench.end()
    }

    /// What Operating says of programs elsewhere: a password, and the authority in SSL_CERT_FILE.
    @Test(arguments: NATSServers.all)
    func aProgramWithoutNKeysLogsInWithAPassword(binary: NATSServers.Binary) async throws {
        let bench = try await AuthBench(binary)
        for (name, role) in [("garden", "tool"), ("attic", "node"), ("eve", "observer")] {
            let added = try await Command.run(["auth", "add", bench.path, name, "--role", role, "--password"])
            #expect(added.code == 0 && added.output.contains("\(name).password"), "\(added.error)")
        }
        bench.serve.signal(SIGHUP)
        try await bench.serve.waitForError("8 users may log in")
        let list = try await Command.run(["auth", "list", bench.path])
        let inbox = try #require(list.output.firstMatch(of: #/garden +tool +U[A-Z0-9]+ +(_INBOX\.[A-Z0-9]+)/#)).1
        let script = #"""
            import asyncio, os, ssl, nats
            async def main():
                errors = []
                async def failed(error): errors.append(str(error))
                nc = await nats.connect(
                    os.environ["JB_NATS_URL"], error_cb=failed, allow_reconnect=False, connect_timeout=20,
                    inbox_prefix=os.environ.get("INBOX", "_INBOX").encode()
                )
                got = asyncio.get_running_loop().create_future()
                async def received(message):
                    if not got.done(): got.set_result(message.subject)
                await nc.subscribe("events.>", cb=received)
                await nc.publish("events.node.joined", b'{"node":"X","event":"reconnect"}')
                await nc.publish("events.user.py", b'{"type":"user.py","node":"X","data":{}}')
                await nc.flush()
                # Its callbacks for errors run later.
                for _ in range(200):
                    if len(errors) >= int(os.environ.get("ERRORS", "0")): break
                    await asyncio.sleep(0.1)
                if os.environ.get("INBOX"):
                    print("stream", (await nc.jetstream().stream_info("MESH_EVENTS")).config.name)
                elif not errors:
                    print("got", await asyncio.wait_for(got, 20))
                print("errors", len(errors))
                await nc.close()
            asyncio.run(main())
            """#
        func run(_ name: String, _ password: String? = nil, _ more: [String: String] = [:]) async throws -> String {
            let file = try String(contentsOfFile: "\(bench.path)/\(name).password", encoding: .utf8)
            let login = "\(name):\(password ?? file.trimmingCharacters(in: .newlines))@"
            let environment = [
                "JB_NATS_URL": bench.url.replacing("tls://", with: "tls://\(login)"),
                "SSL_CERT_FILE": bench.path + "/ca.pem",
            ]
            return try await Python.run(script, environment: environment.merging(more) { $1 }, Python.executable)
        }
        func reason(_ body: () async throws -> String) async -> String {
            do { return try await body() } catch { return "\(error)" }
        }
        // A tool may emit user events only, an observer none.
        try await eventually("the server to know the users") { await reason { try await run("attic") }.contains("got") }
        let expected: [(String, [String: String], String)] = [
            ("attic", [:], "got events.node.joined\nerrors 0\n"), ("garden", ["ERRORS": "1"], "errors 1\n"),
            ("eve", ["ERRORS": "2"], "errors 2\n"),
            ("garden", ["INBOX": String(inbox), "ERRORS": "1"], "stream MESH_EVENTS\nerrors 1\n"),
        ]
        for (name, more, output) in expected {
            let printed = try await run(name, nil, more)
            #expect(printed.contains(output), "\(name): \(printed)")
        }
        #expect(await reason { try await run("garden", "wrong") }.contains("Authorization Violation"))
        let untrusted = await reason { try await run("attic", nil, ["SSL_CERT_FILE": ""]) }
        #expect(untrusted.contains("CERTIFICATE_VERIFY_FAILED"), "\(untrusted)")
        try await bench.end()
    }

    @Test func itSaysWhoCanReachIt() async throws {
        let open = try Command(
            ["serve", "--port", "0", "--listen", "0.0.0.0", "--for", "1s"],
            environment: ["MESH_EVENTS_NATS_SERVER": NATSServers.first.path]
        )
        let outcome = try await open.wait()
        #expect(outcome.code == 0, "\(outcome.error)")
        #expect(
            outcome.error.contains("it listens on 0.0.0.0, for other machines too, and every client that reaches it")
        )
        let bench = try await AuthBench(NATSServers.first, ["--listen", "0.0.0.0"])
        #expect(bench.serve.error.contains("accepts only users of `mesh-events auth`"))
        try await bench.end()
        for arguments in [
            ["--listen", "0.0.0.0:4222 x"], ["--auth", "/no/such"], ["--auth", bench.path, "--listen", "10.1.2.3"],
        ] {
            let wrong = try await Command.run(["serve", "--port", "0"] + arguments)
            #expect(wrong.code == 64, "\(wrong.error)")
        }
    }
}
