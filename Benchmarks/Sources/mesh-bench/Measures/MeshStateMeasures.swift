import EventWork
import MeshEvents
import MeshMonitoring

/// What it costs to fold one event into the state of the mesh, by how many nodes there are.
enum MeshStateMeasures {
    /// Folds `count` health events, of each of `nodes` nodes in turn: nanoseconds of processor time each.
    static func fold(_ count: Int, nodes: Int) -> Measure {
        let fold = Fold(nodes: nodes)
        return { [try fold.run(count)] }
    }
}

/// A state and the events that keep it going.
///
/// Unchecked because a measure runs once at a time.
private final class Fold: @unchecked Sendable {
    private var state = MeshState()
    private let nodes: Int
    private var events: [Event]
    private var round: Int64 = 0

    init(nodes: Int) {
        self.nodes = nodes
        events = (0..<nodes).map { number in
            .nodeHealth(
                node: "node-\(number)",
                status: "online",
                resources: [
                    "cpu": JSONValue(Double(number % 100) / 100), "disk_free_mb": 204_800,
                    "instance": .string("instance-\(number)"), "interval_s": 10, "load": [0.42, 0.38, 0.3],
                    "mem_total_mb": 8_192, "mem_used_mb": JSONValue(2_000 + number), "tools": 3, "uptime_s": 86_400,
                ]
            )
        }
        for number in 0..<nodes {
            let node = "node-\(number)"
            state.apply(Event.nodeJoined(node: node, capabilities: ["interval_s": 10, "tools": 3]))
            for tool in ["whisper", "train", "index"] { state.apply(Event.toolStarted(node: node, tool: tool)) }
        }
    }

    /// Folds events, and says how many nanoseconds of processor time each took.
    func run(_ count: Int) throws -> Double {
        var done = 0
        var changes = 0
        let start = threadTime()
        while done < count {
            round += 1
            let time = Timestamp(nanosecondsSinceEpoch: round &* 10_000_000_000)
            for number in 0..<min(nodes, count - done) {
                events[number].timestamp = time
                if state.apply(events[number], receivedAt: time) != nil { changes += 1 }
            }
            done += min(nodes, count - done)
        }
        let taken = threadTime() - start
        guard changes == count, state.summary.nodes == nodes else {
            throw BenchmarkError("\(changes) of \(count) events changed a state of \(state.summary.nodes) nodes")
        }
        return taken / Double(count)
    }
}
