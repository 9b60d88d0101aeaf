import MeshEvents
import MeshLifecycle

/// What it costs to fold one event into the state of the mesh, by how many nodes there are.
struct MeshStateMeasures {
    /// How many events a run folds.
    let count: Int

    /// P10: a health event of each node in turn; with 1000 nodes at most 1.3 times what it costs with 10.
    ///
    /// - Returns: Whether the goal is reached.
    func report(pairs: Int) -> Bool {
        let sizes = [10, 100, 1_000]
        var folds = sizes.map { Fold(nodes: $0) }
        var times = sizes.map { _ in [Double]() }
        // By turns, so that whatever else the machine does falls on all; the first round warms up.
        for round in 0...pairs {
            for index in sizes.indices {
                let nanoseconds = folds[index].run(count)
                if round > 0 { times[index].append(nanoseconds) }
            }
        }
        for (size, samples) in zip(sizes, times) {
            let (low, high) = (samples.spread.lowerBound.text(0), samples.spread.upperBound.text(0))
            print("    \(size) nodes: \(samples.median.text(0)) ns an event (\(low) to \(high))")
        }
        let ratios = zip(times[2], times[0]).map { $0 / $1 }
        let holds = Goal.Bound.atMost(1.3).holds(ratios.median)
        print(
            "P10 fold an event, 1000 nodes: \(ratios.median.text(2)) x 10 nodes\(Goal.Bound.atMost(1.3).text) "
                + (holds ? "ok" : "MISSED")
        )
        return holds
    }
}

/// A state and the events that keep it going.
private struct Fold {
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
    mutating func run(_ count: Int) -> Double {
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
        precondition(changes == count && state.summary.nodes == nodes)
        return taken / Double(count)
    }
}
