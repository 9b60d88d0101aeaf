import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import MeshToolSDK
import NATSClient
import ServiceLifecycle
import TestSupport
import Testing

@Suite("A tool that uses the SDK", .timeLimit(.minutes(2)))
struct MeshToolTests {
    private func url(_ server: LocalNATSServer, _ login: String) -> String {
        server.url.replacing("nats://", with: "nats://\(login)")
    }

    private func environment(_ server: LocalNATSServer, _ login: String = "", _ config: String = "{}") -> [String:
        String]
    {
        ["JB_NATS_URL": url(server, login), "JB_NODE_NAME": "attic", "JB_TOOL_CONFIG": config]
    }

    @Test(
        "with only the environment it emits, answers, gets its configuration, and on SIGTERM loses nothing",
        arguments: NATSServers.all,
        [
            ("", ""), ("user:p%40ss%2Fword@", #"authorization { user: user, password: "p@ss/word" }"#),
            ("s3cr3t@", "authorization { token: s3cr3t }"),
        ]
    )
    func process(binary: NATSServers.Binary, login: (String, String)) async throws {
        try await withServer(binary, .init(extraConfiguration: login.1)) { server in
            let transport = try await NATSTransport.connect(to: url(server, login.0), logger: quiet)
            let bus = try await PersistentEventBus.open(transport: transport, node: "cellar", logger: quiet)
            let config = #"{"lastWords":2000,"model":"base"}"#
            let tool = try FixtureProcess("mesh-tool-fixture", environment: environment(server, login.0, config))
            try await eventually("the tool to be ready; it said: \(tool.output)") {
                try await bus.history(matching: "events.user.fixture.ready").count == 1
            }
            let ready = try await bus.history(matching: "events.user.fixture.ready").first?.event
            #expect(ready?.node == "attic")
            #expect(ready?.data["configuration"]?.data == (try EventData(json: config)))
            #expect(ready?.data["tool"]?.string == "mesh-tool-fixture")
            try await bus.emit("user.question")
            try await eventually("the answer") {
                try await bus.history(matching: "events.user.fixture.answer").first?.event.data["to"]?.string
                    == "cellar"
            }
            tool.signal(15)
            #expect(try await tool.wait() == 0, "\(tool.output)")
            try await eventually("the last words") {
                try await bus.history(matching: "events.user.fixture.last", limit: 10_000).count == 2000
            }
            let last = try await bus.history(matching: "events.user.fixture.last", limit: 10_000)
            #expect(last.map { $0.event.data["number"]?.int } == Array(0..<2000))
            #expect(tool.output.isEmpty, "\(tool.output)")
            await transport.close()
        }
    }

    @Test("it says that it is ready, what it does, that it lives and that it ends, where the node listens")
    func health() async throws {
        let listener = #"""
            import os, socket
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            s.bind(os.environ["NOTIFY_SOCKET"])
            print("bound", flush=True)
            while True:
                message = s.recv(4096).decode()
                print("said", message, flush=True)
                if message == "STOPPING=1": break
            """#
        try await withServer { server in
            let directory = try TemporaryDirectory()
            let socket = ["NOTIFY_SOCKET": directory.path + "/notify", "WATCHDOG_USEC": "30000000"]
            let script = try Python.start(listener, environment: socket, "/usr/bin/python3")
            try await script.waitForOutput("bound")
            let variables = environment(server, "", #"{"lastWords":0}"#).merging(socket) { $1 }
            let tool = try FixtureProcess("mesh-tool-fixture", environment: variables)
            try await script.waitForOutput("said WATCHDOG=1")
            tool.signal(15)
            #expect(try await tool.wait() == 0, "\(tool.output)")
            let said = try await script.wait().split(separator: "\n").dropFirst()
            #expect(said == ["said STATUS=listening", "said READY=1", "said WATCHDOG=1", "said STOPPING=1"])
        }
    }

    @Test("a wrong login, and no server, are errors that say so without the password")
    func wrongLogin() async throws {
        try await withServer(NATSServers.first, .init(extraConfiguration: "authorization { user: u, password: right }"))
        { server in
            let error = await thrownError { () async throws(MeshEventsError) in
                _ = try await MeshTool.fromEnvironment(environment(server, "u:wr0ng@"), logger: quiet)
            }
            #expect(error?.code == .authenticationFailed)
            #expect(!"\(String(describing: error))".contains("wr0ng"))
            await server.stop()
            let refused = await thrownError { () async throws(MeshEventsError) in
                _ = try await MeshTool.fromEnvironment(environment(server, "u:wr0ng@"), logger: quiet)
            }
            #expect(refused?.code == .connectionFailed)
            #expect(!"\(String(describing: refused))".contains("wr0ng"))
        }
    }

    @Test("as a service it stops after those that use it, and closes")
    func service() async throws {
        struct Work: Service {
            let tool: MeshTool
            func run() async throws {
                try? await ServiceLifecycle.gracefulShutdown()
                try tool.emit("work.done")
            }
        }
        try await withServer { server in
            let tool = try await MeshTool.fromEnvironment(environment(server), logger: quiet)
            let watcher = try await MeshTool.fromEnvironment(environment(server), logger: quiet)
            let done = try await watcher.subscribe(to: "events.user.work.done")
            let group = ServiceGroup(services: [tool, Work(tool: tool)], logger: quiet)
            let running = Task { try await group.run() }
            await group.triggerGracefulShutdown()
            try await running.value
            let event = try await withDeadline(.seconds(20), "the event") {
                for try await event in done { return event }
                throw TestSupportError("no event")
            }
            #expect(event.type == "user.work.done")
            let error = await thrownError { () async throws(MeshEventsError) in try tool.emit("late") }
            #expect(error?.code == .closed)
            let late = await thrownError { () async throws(MeshEventsError) in _ = try await tool.persistent() }
            #expect(late?.code == .closed)
            try await tool.stop()
            try await watcher.stop()
        }
    }

    @Test("a body that returns ends the run, one that throws has its error thrown, and both close the tool")
    func bodies() async throws {
        struct Failure: Error {}
        try await withServer { server in
            let first = try await MeshTool.fromEnvironment(environment(server), logger: quiet)
            try await first.run { tool in try tool.emit("done") }
            let error = await thrownError { () async throws(MeshEventsError) in try first.emit("late") }
            #expect(error?.code == .closed)
            let second = try await MeshTool.fromEnvironment(environment(server), logger: quiet)
            await #expect(throws: Failure.self) { try await second.run { _ in throw Failure() } }
            let late = await thrownError { () async throws(MeshEventsError) in try second.emit("late") }
            #expect(late?.code == .closed)
        }
    }

    @Test("what is emitted with an acknowledgement is stored")
    func acknowledged() async throws {
        try await withServer { server in
            let tool = try await MeshTool.fromEnvironment(environment(server), logger: quiet)
            let positions = try await withThrowingTaskGroup(of: UInt64.self) { group in
                for number in 0..<20 {
                    group.addTask { try await tool.persistent().emit("user.n", ["n": JSONValue(number)]).sequence }
                }
                return try await group.reduce(into: Set<UInt64>()) { $0.insert($1) }
            }
            #expect(positions == Set(1...20))
            try await tool.stop()
        }
    }

    @available(*, deprecated)
    @Test("the old form of an acknowledged emit stores under the same type")
    func oldForm() async throws {
        try await withServer { server in
            let tool = try await MeshTool.fromEnvironment(environment(server), logger: quiet)
            #expect(try await tool.emitAcknowledged("old", ["n": 1]).sequence == 1)
            #expect(try await tool.emitAcknowledged(ToolStarted(tool: "old")).sequence == 2)
            let stored = try await tool.persistent().history()
            #expect(stored.map(\.event.type) == ["user.old", .toolStarted])
            try await tool.stop()
        }
    }

    @Test("a tool with a key signs what it emits, with an acknowledgement too")
    func signed() async throws {
        try await withServer { server in
            let directory = try TemporaryDirectory()
            let seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
            var variables = environment(server)
            variables["MESH_EVENTS_SIGN_KEY"] = try directory.file("attic.nk", seed, mode: 0o600)
            let tool = try await MeshTool.fromEnvironment(variables, logger: quiet)
            let watcher = try await NATSConnection.connect(to: server.url, logger: quiet)
            let messages = try await watcher.subscribe(to: "events.user.>")
            try tool.emit("plain")
            try await tool.persistent().emit("user.stored")
            let signed = try await withDeadline(.seconds(20), "both events") {
                var signed: [String: Bool] = [:]
                for try await message in messages {
                    signed[message.subject] = message.headers["Mesh-Signature"] != nil
                    if signed.count == 2 { break }
                }
                return signed
            }
            #expect(signed == ["events.user.plain": true, "events.user.stored": true])
            try await tool.stop()
            await watcher.close()
        }
    }

    @Test("a tool stores where its node says that the stream is")
    func elsewhere() async throws {
        try await withServer { server in
            var variables = environment(server)
            variables["MESH_EVENTS_STREAM"] = "OTHER"
            variables["MESH_EVENTS_INBOX_PREFIX"] = "mesh.inbox"
            let tool = try await MeshTool.fromEnvironment(variables, logger: quiet)
            let position = try await tool.persistent().emit("user.n")
            #expect(position.stream == "OTHER" && position.sequence == 1)
            try await tool.stop()
            variables["MESH_EVENTS_JS_DOMAIN"] = "not a name"
            let error = await #expect(throws: MeshEventsError.self) {
                try await MeshTool.fromEnvironment(variables, logger: quiet)
            }
            #expect(error?.message.contains("MESH_EVENTS_JS_DOMAIN") == true)
        }
    }
}
