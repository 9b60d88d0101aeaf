import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import TestSupport
import Testing

@Suite("Behind a leaf node", .timeLimit(.minutes(2)))
struct LeafNodeTests {
    /// A hub with a stream and a leaf without, as Operating.md has them.
    private func withLeaf(
        _ binary: NATSServers.Binary,
        mappings: String,
        _ body: (_ hub: LocalNATSServer, _ leaf: LocalNATSServer) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        let port = try freePorts(1)[0]
        let hub = try await LocalNATSServer.start(
            .init(
                executable: binary.path,
                serverName: "hub",
                jetStream: false,
                extraConfiguration: """
                    jetstream { store_dir: "\(directory.path)", domain: hub }
                    leafnodes { listen: "127.0.0.1:\(port)" }
                    """
            )
        )
        let leaf = try await LocalNATSServer.start(
            .init(
                executable: binary.path,
                serverName: "leaf",
                jetStream: false,
                extraConfiguration: """
                    leafnodes { remotes: [{ url: "nats://127.0.0.1:\(port)" }] }
                    \(mappings)
                    """
            )
        )
        try await body(hub, leaf)
        await leaf.stop()
        await hub.stop()
    }

    @Test("a program that names the hub's domain needs no mapping", arguments: NATSServers.all)
    func throughADomain(binary: NATSServers.Binary) async throws {
        try await withLeaf(binary, mappings: "") { hub, leaf in
            let transport = try await NATSTransport.connect(to: leaf.url)
            let store = JetStreamStore(transport.connection, domain: "hub")
            try await eventually("the leaf to reach the hub's stream") {
                (try? await store.open(PersistentEventBus.Configuration())) != nil
            }
            let persistent = try await PersistentEventBus.open(transport: transport, store: store, node: "garden")
            let position = try await persistent.emit("user.from.leaf", ["n": 1])
            #expect(try await persistent.history(matching: "events.user.>").map(\.sequence) == [position.sequence])
            for try await element in try await persistent.replay() {
                if let stored = element.event {
                    #expect(stored.event.node == "garden")
                    break
                }
            }
            let durable = try await persistent.subscribe(durable: "d") { _ in }
            try await eventually("the event to be handled") { durable.acknowledged == 1 }
            await persistent.close()
            await transport.close()
        }
    }

    @Test("commands at a leaf that name the hub's domain need no mapping", arguments: NATSServers.all)
    func commandsWithADomain(binary: NATSServers.Binary) async throws {
        try await withLeaf(binary, mappings: "") { hub, leaf in
            try await commands(hub: hub, leaf: leaf, domain: "hub")
        }
    }

    @Test("at a leaf without JetStream the hint names the domain, no second JetStream", arguments: NATSServers.all)
    func hint(binary: NATSServers.Binary) async throws {
        try await withLeaf(binary, mappings: "") { _, leaf in
            let outcome = try await Command.run(["emit", "user.x", "--ack", "--nats", leaf.url])
            #expect(outcome.code == 69 && outcome.error.contains("--js-domain"), "\(outcome.error)")
        }
    }

    @Test(
        "where the leaf has a stream too, the hub's counts at the hub, and the other is said",
        arguments: NATSServers.all
    )
    func twoStreams(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        let own = "jetstream { store_dir: \"\(directory.path)\" }"
        try await withLeaf(binary, mappings: own) { hub, leaf in
            for number in 0..<3 {
                let stored = try await Command.run(["emit", "user.before", "n=\(number)", "--ack", "--nats", hub.url])
                #expect(stored.output.contains("at sequence \(number + 1)"), "\(stored.output) \(stored.error)")
            }
            #expect(try await Command.run(["stream", "create", "--nats", leaf.url]).code == 0)
            try await eventually("the leaf to keep the hub's events") {
                _ = try await Command.run(["emit", "user.knock", "--nats", hub.url])
                return try await Command.run(["list", "user.knock", "--nats", leaf.url]).lines.count > 0
            }
            let knocks = try await Command.run(["list", "user.knock", "--nats", hub.url]).lines.count
            for number in 0..<5 {
                let stored = try await Command.run(["emit", "user.x", "--ack", "--nats", hub.url])
                #expect(stored.code == 0)
                #expect(stored.output.contains("at sequence \(4 + knocks + number)"), "\(stored.output)")
            }
            let many = try FixtureProcess(
                "mesh-events",
                ["emit", "--from", "-", "--nats", hub.url],
                environment: ["HOME": directory.path]
            )
            for _ in 0..<100 { many.say(#"{"type":"user.many"}"#) }
            // The other stream's answers come later than the hub's: it must still be there to hear one.
            try await waitForMany(100, at: leaf)
            many.say(#"{"type":"user.many"}"#)
            try await waitForMany(101, at: leaf)
            try await waitForMany(101, at: hub)
            many.endInput()
            let code = try await many.wait()
            #expect(code == 0 && many.output.contains("--js-domain"), "\(many.output)")
            try await waitForMany(101, at: hub)
        }
    }

    private func waitForMany(_ count: Int, at server: LocalNATSServer) async throws {
        try await eventually("\(count) events in the stream") {
            try await Command.run(["list", "user.many", "--limit", "200", "--nats", server.url]).lines.count == count
        }
    }

    @Test(
        "a request that the server forbids under the name it is mapped to is refused at once",
        arguments: NATSServers.all
    )
    func forbiddenMapping(binary: NATSServers.Binary) async throws {
        let rules = """
            mappings { "mesh.API.>": "$JS.API.>" }
            authorization { users: [ { user: u, password: p, permissions: { publish: { deny: ["$JS.API.>"] } } } ] }
            """
        try await withServer(binary, .init(extraConfiguration: rules)) { server in
            let url = "nats://u:p@127.0.0.1:\(server.port)"
            let outcome = try await Command.run(["list", "--nats", url, "--js-prefix", "mesh.API"])
            #expect(outcome.code == 69 && outcome.error.contains("forbids this user"), "\(outcome.error)")
        }
    }

    @Test("a stream, an inbox and a prefix of its own, by option and by environment", arguments: NATSServers.all)
    func ownNames(binary: NATSServers.Binary) async throws {
        let rules = """
            mappings { "mesh.API.>": "$JS.API.>" }
            authorization { users: [ { user: u, password: p, permissions: {
              subscribe: { deny: ["_INBOX.>"] } } } ] }
            """
        try await withServer(binary, .init(extraConfiguration: rules)) { server in
            let url = "nats://u:p@127.0.0.1:\(server.port)"
            let options = [
                "--nats", url, "--stream", "OTHER", "--js-prefix", "mesh.API", "--inbox-prefix", "mesh.inbox",
            ]
            let environment = [
                "JB_NATS_URL": url, "MESH_EVENTS_STREAM": "OTHER", "MESH_EVENTS_JS_PREFIX": "mesh.API",
                "MESH_EVENTS_INBOX_PREFIX": "mesh.inbox",
            ]
            let first = try await Command.run(["emit", "user.one", "--ack"] + options)
            #expect(first.output.contains("stored in OTHER at sequence 1"), "\(first.output) \(first.error)")
            let second = try await Command.run(["emit", "user.two", "--ack"], environment: environment)
            #expect(second.output.contains("stored in OTHER at sequence 2"), "\(second.output) \(second.error)")
            for command in [
                ["list"], ["replay"], ["export"], ["status"], ["stream", "info"],
                ["wait-for", "user.two", "--since", "1h", "--timeout", "10s"],
            ] {
                let given = try await Command.run(command + options)
                let set = try await Command.run(command, environment: environment)
                #expect(given.code == 0, "\(command) \(given.error)")
                #expect(set.code == 0 && set.lines.count == given.lines.count, "\(command) \(set.error)")
            }
            let on = try Command(["on", "user.*", "--durable", "d", "--", "echo", "handled"], environment: environment)
            try await eventually("both events to be handled") {
                on.output.components(separatedBy: "handled").count == 3
            }
            on.signal(2)
            #expect(try await on.wait().code == 0)
            let without = try await Command.run(["list", "--nats", url])
            #expect(without.code == 69, "\(without.output)")
        }
    }

    @Test(
        "commands at a leaf without JetStream see and keep the events of the hub, and the hub those of the leaf",
        arguments: NATSServers.all
    )
    func throughALeaf(binary: NATSServers.Binary) async throws {
        try await withLeaf(binary, mappings: #"mappings { "$JS.API.>": "$JS.hub.API.>" }"#) { hub, leaf in
            try await commands(hub: hub, leaf: leaf)
        }
    }

    private func commands(hub: LocalNATSServer, leaf: LocalNATSServer, domain: String? = nil) async throws {
        func options(_ server: LocalNATSServer) -> [String] {
            ["--nats", server.url] + (server.port == leaf.port ? domain.map { ["--js-domain", $0] } ?? [] : [])
        }
        func at(_ server: LocalNATSServer, _ arguments: [String]) async throws -> Command.Outcome {
            try await Command.run(arguments + options(server))
        }
        // The leaf accepts clients before it has found the hub.
        try await eventually("the leaf to reach the hub's stream") {
            (try? await at(leaf, ["emit", "user.first", "--ack"]))?.code == 0
        }

        let watch = try Command(["watch", "--nats", leaf.url])
        try await watch.waitForError("watching")
        #expect(try await at(hub, ["emit", "user.from.hub", "n=1", "--ack"]).code == 0)
        try await watch.waitForOutput("user.from.hub")
        #expect(try await at(leaf, ["emit", "user.from.leaf", "n=2"]).code == 0)
        try await watch.waitForOutput("user.from.leaf")

        for server in [hub, leaf] {
            let list = try await at(server, ["list", "user.from.*"])
            #expect(list.code == 0 && list.lines.count == 2, "\(list.output) \(list.error)")
            let replay = try await at(server, ["replay", "user.from.leaf", "--json"])
            #expect(replay.output.contains(#""data":{"n":2}"#), "\(replay.output) \(replay.error)")
            let wait = try await at(server, ["wait-for", "user.from.hub", "--since", "1h", "--timeout", "5s"])
            #expect(wait.code == 0, "\(wait.error)")
        }
        let handling = try Command(
            ["on", "user.from.*", "--durable", "d"] + options(leaf) + ["--", "echo", "handled"]
        )
        try await eventually("both events to be handled") {
            handling.output.components(separatedBy: "handled").count == 3
        }
        handling.signal(2)
        #expect(try await handling.wait().code == 0)
        #expect(try await at(leaf, ["stream", "info"]).output.contains("MESH_EVENTS"))
        watch.signal(2)
        #expect(try await watch.wait().code == 0)
    }
}
