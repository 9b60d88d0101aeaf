import Foundation
import LocalNATSServer
import MeshEvents
import NATSClient
import NIOCore
import TestSupport
import Testing

/// `mesh-events doctor`.
@Suite(.timeLimit(.minutes(3))) struct DoctorTests {
    /// The verdicts by topic, the worst of each.
    private func verdicts(_ outcome: Command.Outcome) throws -> [String: String] {
        let findings = try EventData(json: outcome.output)["findings"]?.array ?? []
        let order = ["ok", "advice", "failure"]
        return findings.reduce(into: [:]) { verdicts, finding in
            guard let topic = finding["topic"]?.string, let verdict = finding["verdict"]?.string else { return }
            let before = verdicts[topic].flatMap { order.firstIndex(of: $0) } ?? 0
            verdicts[topic] = order[max(before, order.firstIndex(of: verdict) ?? 0)]
        }
    }

    @Test("without a server it says so, and which one could be started")
    func noServer() async throws {
        let port = try freePorts(1)[0]
        let outcome = try await Command.run(["doctor", "--nats", "nats://127.0.0.1:\(port)"])
        #expect(outcome.code == 69 && outcome.output.isEmpty)
        #expect(outcome.error.contains("A server is installed here: "), "\(outcome.error)")
        expectOneLine(outcome)
    }

    @Test("on a server with nothing it says what is missing, and creates nothing", arguments: NATSServers.all)
    func nothing(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let text = try await Command.run(["doctor", "--nats", server.url])
            #expect(text.code == 2 && text.error.isEmpty, "\(text.error)")
            #expect(text.output.contains("FAILED  stream"), "\(text.output)")
            #expect(text.output.contains("→ `mesh-events stream create` creates it"))
            let json = try await Command.run(["doctor", "--json", "--nats", server.url])
            let found = try verdicts(json)
            #expect(found["stream"] == "failure" && found["login"] == "ok" && found["jetstream"] == "ok", "\(found)")
            #expect(found["keeper"] == nil)
            let info = try await Command.run(["stream", "info", "--nats", server.url])
            #expect(info.code == 69)
        }
    }

    @Test("a server without JetStream fails, and the cure is named")
    func noJetStream() async throws {
        try await withServer(NATSServers.first, .init(jetStream: false)) { server in
            let outcome = try await Command.run(["doctor", "--json", "--nats", server.url])
            #expect(outcome.code == 2)
            #expect(try verdicts(outcome)["jetstream"] == "failure", "\(outcome.output)")
            #expect(outcome.output.contains("start the server with -js"))
        }
    }

    @Test("a mesh with a keeper is fine but for what it has not got; a crash and a wrong clock are named")
    func mesh() async throws {
        try await withServer { server in
            let node = try Command(["serve", "--nats", server.url, "--node", "pi"])
            try await node.waitForOutput("node.joined")
            try await eventually("a keeper") {
                try verdicts(try await Command.run(["doctor", "--json", "--nats", server.url]))["keeper"] == "ok"
            }
            let well = try await Command.run(["doctor", "--json", "--nats", server.url])
            let found = try verdicts(well)
            #expect(well.code == 0, "\(well.output)")
            #expect(found["stream"] == "ok" && found["clock"] == "ok" && found["nodes"] == "ok", "\(found)")
            #expect(found["alerts"] == "advice")
            let past = Timestamp.now.subtracting(.seconds(3_600)).description
            let connection = try await connect(server)
            let health = #"{"type":"node.health","node":"late","timestamp":"\#(past)","data":{"status":"online"}}"#
            try connection.publish(ByteBuffer(string: health), to: "events.node.health")
            try await connection.flush()
            let crash = #"{"type":"tool.crashed","node":"late","data":{"tool":"t","error":"boom","restart_count":1}}"#
            try await Command.emit([crash], to: server)
            let outcome = try await Command.run(["doctor", "--nats", server.url])
            #expect(outcome.code == 0, "\(outcome.output)")
            #expect(outcome.output.contains("late (1h behind)"), "\(outcome.output)")
            #expect(outcome.output.contains("late/t is backing off: boom"), "\(outcome.output)")
            node.signal(SIGTERM)
            #expect(try await node.wait().code == 0)
        }
    }

    /// The state of the mesh alone takes some sixty round trips.
    @Test("over a slow way it asks together, and everything is answered")
    func slowWay() async throws {
        try await withServer { server in
            let node = try Command(["serve", "--nats", server.url, "--node", "pi"])
            try await node.waitForError("is in the mesh")
            let proxy = try await TCPProxy.start(before: server.port)
            proxy.treat { $0.latency = .milliseconds(100) }
            let begun = ContinuousClock.now
            let outcome = try await Command(["doctor", "--json", "--nats", proxy.url]).wait(within: .seconds(120))
            let time = ContinuousClock.now - begun
            let found = try verdicts(outcome)
            #expect(outcome.code == 0, "\(outcome.output) \(outcome.error)")
            #expect(found["way"] == "advice" && found["stream"] == "ok" && found["nodes"] == "ok", "\(outcome.output)")
            #expect(found["keeper"] != nil && found["alerts"] == "advice" && found["clock"] != nil)
            #expect(time < .seconds(60), "\(time)")
            await proxy.stop()
            node.signal(SIGTERM)
            #expect(try await node.wait().code == 0)
        }
    }
}
