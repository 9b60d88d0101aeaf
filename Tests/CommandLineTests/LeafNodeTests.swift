import Foundation
import LocalNATSServer
import TestSupport
import Testing

@Suite("Behind a leaf node", .timeLimit(.minutes(2)))
struct LeafNodeTests {
    @Test(
        "commands at a leaf without JetStream see and keep the events of the hub, and the hub those of the leaf",
        arguments: NATSServers.all
    )
    func throughALeaf(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        let port = try freePorts(1)[0]
        // As Operating.md says it.
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
                    mappings { "$JS.API.>": "$JS.hub.API.>" }
                    """
            )
        )
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
        await leaf.stop()
        await hub.stop()
    }
}
