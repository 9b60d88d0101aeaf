import EventWork
import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import MeshMonitoring

/// What a keeper needs, in a process of its own, for a mesh of simulated nodes that emit as often as real ones.
struct KeeperMeasures {
    /// The word with which this program is the keeper: it is followed by the server's address, the number of nodes and the seconds.
    static let role = "keeper"
    private static let toolsPerNode = 30
    private static let interval = 10

    /// What a keeper needed.
    struct Cost: Codable {
        /// Of one processor, from 0.
        var share: Double
        /// The most memory that the process had, in bytes.
        var memory: Double
        /// How many events the saved state was behind the stream at the most.
        var behind: Double
    }

    /// Lets `nodes` nodes emit, and a keeper keep their state, for some seconds behind its first half a minute.
    static func measure(nodes: Int, seconds: Int) async throws -> Cost {
        let server = try await LocalNATSServer.start(LocalNATSServer.Configuration(syncsEachWrite: false))
        let transport = try await NATSTransport.connect(to: server.url)
        let bus = try await PersistentEventBus.open(transport: transport, node: Work.node)
        let emitting = Task { try await emit(nodes, on: bus) }
        let url = server.url
        let result: Result<String, any Error>
        do {
            result = .success(
                try await onThread {
                    try ChildProcess.output(of: CommandLine.arguments[0], [role, url, "\(nodes)", "\(seconds)"])
                }
            )
        } catch {
            result = .failure(error)
        }
        emitting.cancel()
        try? await emitting.value
        await transport.close()
        await server.stop()
        return try JSONDecoder().decode(Cost.self, from: Data(try result.get().utf8))
    }

    /// Emits the health of each node once in each interval, evenly.
    private static func emit(_ nodes: Int, on bus: PersistentEventBus) async throws {
        let tools = (0..<toolsPerNode).map { number in
            NodeHealth.Tool(name: "tool-\(number)", version: "1.4.\(number)", state: .running, since: .now)
        }
        let parts = 100
        var (part, next) = (0, ContinuousClock.now)
        while true {
            let numbers = stride(from: part, to: nodes, by: parts)
            try await bus.emit(
                contentsOf: try numbers.map { number in
                    let resources: EventData = [
                        "cpu": JSONValue(Double.random(in: 0...1)), "instance": .string("instance-\(number)"),
                        "interval_s": JSONValue(interval), "mem_total_mb": 8_192, "tools": JSONValue(toolsPerNode),
                    ]
                    let health = NodeHealth(status: "online", resources: resources, tools: tools)
                    return try Event(health, node: "node-\(number)")
                }
            )
            part = (part + 1) % parts
            next += .seconds(interval) / parts
            try await Task.sleep(until: next)
        }
    }

    /// Is the keeper; prints what it needed.
    static func keep(_ url: String, nodes: Int, seconds: Int) async throws {
        let transport = try await NATSTransport.connect(to: url)
        let store = JetStreamStore(transport.connection)
        let table = JetStreamStateStore(beside: store)
        let bus = try await PersistentEventBus.open(transport: transport, store: store, node: "keeper")
        let keeper = MeshKeeper(bus: bus, store: store, table: table)
        let keeping = Task { try await keeper.run() }
        // The entries of all nodes are new at first.
        try await Task.sleep(for: .seconds(3 * interval))
        let memory = ResidentMemory()
        let (start, used) = (ContinuousClock.now, processTime())
        var behind: UInt64 = 0
        while .now - start < .seconds(seconds) {
            try await Task.sleep(for: .seconds(1))
            guard let checkpoint = try await table.entry("checkpoint").map({ try EventData(json: $0.value) }),
                let saved = checkpoint["sequence"]?.uint64, checkpoint["nodes"]?.int == nodes
            else { throw BenchmarkError("the keeper has not saved \(nodes) nodes") }
            behind = max(behind, try await store.state().lastSequence - saved)
        }
        let share = (processTime() - used) / ((ContinuousClock.now - start) / .seconds(1))
        let most = memory.most()
        memory.stop()
        keeping.cancel()
        try await keeping.value
        await transport.close()
        let cost = Cost(share: share, memory: Double(most), behind: Double(behind))
        print(String(decoding: try JSONEncoder().encode(cost), as: UTF8.self))
    }

    /// The processor time of this process, in seconds.
    private static func processTime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
