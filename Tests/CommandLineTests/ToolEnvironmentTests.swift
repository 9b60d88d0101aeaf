import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import TestSupport
import Testing

/// Tools in other languages, with nothing but the environment that a node gives to them.
@Suite(.timeLimit(.minutes(2))) struct ToolEnvironmentTests {
    /// How a server is logged in to, as it stands in a URL and in the server's configuration.
    struct Login: CustomTestStringConvertible {
        let url: String
        let configuration: String
        var testDescription: String { url.isEmpty ? "none" : url }

        static let all = [
            Login(url: "", configuration: ""),
            Login(url: "me:s3cr3t@", configuration: "authorization { user: me, password: s3cr3t }"),
            Login(url: "t0ken@", configuration: "authorization { token: t0ken }"),
        ]
    }

    private func environment(_ server: LocalNATSServer, _ login: Login) -> [String: String] {
        [
            "JB_NATS_URL": server.url.replacing("nats://", with: "nats://\(login.url)"),
            "JB_NODE_NAME": "attic", "JB_TOOL_NAME": "whisper", "JB_TOOL_CONFIG": #"{"model":"base"}"#,
        ]
    }

    @Test("the command line emits with what the environment says, its login included", arguments: Login.all)
    func commandLine(login: Login) async throws {
        try await withServer(NATSServers.first, .init(extraConfiguration: login.configuration)) { server in
            let environment = environment(server, login)
            let emit = try await Command.run(["emit", "user.x", "k=v", "--ack"], environment: environment)
            #expect(emit.code == 0, "\(emit.error)")
            let list = try await Command.run(["list", "--json"], environment: environment)
            #expect(list.lines.count == 1)
            #expect(list.output.hasPrefix(#"{"type":"user.x","node":"attic","timestamp":""#))
            #expect(list.output.contains(#"","data":{"k":"v"}"#))
            guard !login.url.isEmpty else { return }
            let refused = try await Command.run(["emit", "user.x"], environment: ["JB_NATS_URL": server.url])
            #expect(refused.code == 69)
        }
    }

    @Test("a credentials file that cannot be read is named")
    func noCredentials() async throws {
        let outcome = try await Command.run(["emit", "user.x"], environment: ["JB_NATS_CREDS": "/no/such.creds"])
        #expect(outcome.code == 64)
        #expect(outcome.error.contains("JB_NATS_CREDS") && outcome.error.contains("/no/such.creds"))
    }

    @Test("the Python SDK's emit_event and EventBus work unchanged", arguments: NATSServers.all, Login.all)
    func python(binary: NATSServers.Binary, login: Login) async throws {
        try await withServer(binary, .init(extraConfiguration: login.configuration)) { server in
            let environment = environment(server, login)
            let url = try #require(environment["JB_NATS_URL"])
            let transport = try await NATSTransport.connect(to: url)
            let bus = try await PersistentEventBus.open(transport: transport, node: "cellar")
            let python = try Python.start(PythonSDK.tool, environment: environment)
            try await python.waitForOutput("emitted")
            try await bus.emit("user.answer", ["text": "Grüße", "large": 12_345_678_901_234_567])
            let output = try await python.wait()
            #expect(output.contains(#"user.transcript attic {"file": "\u00e4.wav", "model": "base"}"#), "\(output)")
            #expect(output.contains("user.empty attic {}"))
            #expect(output.contains(#"user.answer cellar {"large": 12345678901234567, "text": "Gr\u00fc\u00dfe"}"#))
            let events = try await bus.history(matching: "events.user.>").map(\.event)
            #expect(events.map(\.type) == ["user.transcript", "user.empty", "user.answer"])
            #expect(events.map(\.node) == ["attic", "attic", "cellar"])
            #expect(events[0].data == ["file": "ä.wav", "model": "base"])
            await transport.close()
        }
    }
}
