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
            try await eventually(within: .seconds(20), "the leaf to reach the hub's stream") {
                (try? await store.open(PersistenceConfiguration())) != nil
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
            try await eventually(within: .seconds(10), "the event to be handled") { durable.acknowledged == 1 }
            await persistent.close()
            await transport.close()
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

    private func commands(hub: LocalNATSServer, leaf: LocalNATSServer) async throws {
        func at(_ server: LocalNATSServer, _ arguments: [String]) async throws -> Command.Outcome {
            try await Command.run(arguments + ["--nats", server.url])
        }
        // The leaf accepts clients before it has found the hub.
        try await eventually(within: .seconds(20), "the leaf to reach the hub's stream") {
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
        let handling = try Command(["on", "user.from.*", "--durable", "d", "--nats", leaf.url, "--", "echo", "handled"])
        try await eventually(within: .seconds(20), "both events to be handled") {
            handling.output.components(separatedBy: "handled").count == 3
        }
        handling.signal(2)
        #expect(try await handling.wait().code == 0)
        #expect(try await at(leaf, ["stream", "info"]).output.contains("MESH_EVENTS"))
        watch.signal(2)
        #expect(try await watch.wait().code == 0)
    }
}
