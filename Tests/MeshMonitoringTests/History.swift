import MeshEvents
import TestSupport

/// Random histories of a small mesh, as a stream stores them.
enum History {
    private static let nodes = ["pi", "gpu.1", "ü/b", "go"]
    private static let tools = ["whisper", "train", "a.b"]

    /// Events with sequences from 1. Some arrive late, some have the time of a clock that is wrong, some are repeated.
    ///
    /// - Parameter instances: how many processes use the name of a node, by turns.
    static func random(_ count: Int, instances: Int = 2, _ generator: inout SeededGenerator) -> [StoredEvent] {
        var stored: [StoredEvent] = []
        var second = 0.0
        for number in 0..<count {
            second += Double.random(in: 0.01...8, using: &generator)
            // Late, or from a node whose clock is behind.
            let late = Int.random(in: 0..<6, using: &generator) == 0 ? Double.random(in: 0...20, using: &generator) : 0
            var event = event(max(0, second - late), instances, &generator)
            if Int.random(in: 0..<15, using: &generator) == 0, let former = stored.randomElement(using: &generator) {
                event = former.event
            }
            stored.append(
                StoredEvent(event: event, sequence: UInt64(number + 1), storedAt: Mesh.time(second))
            )
        }
        return stored
    }

    private static func event(_ second: Double, _ instances: Int, _ generator: inout SeededGenerator) -> Event {
        let node = nodes.randomElement(using: &generator) ?? ""
        let tool = JSONValue(tools.randomElement(using: &generator) ?? "")
        let instance = JSONValue("i\(Int.random(in: 0..<instances, using: &generator))")
        switch Int.random(in: 0..<23, using: &generator) {
        case 0: return Mesh.joined(second, node: node, ["gpu": ["memory_mb": 24_576.5], "tools": 2])
        case 1: return Mesh.event(.nodeJoined, second, node: node)
        case 2: return Mesh.left(second, node: node, "shutdown \u{1F600}")
        case 3: return Mesh.health(second, node: node, "degraded", ["checks": ["disk": "full"], "interval_s": 5])
        case 4: return Mesh.health(second, node: node, "online", ["cpu": 0.25, "n": JSONValue(UInt64.max)])
        case 5, 6, 7:
            let states = ["running", "failed", "backing_off", "stopped", "starting", "installed", "new_state"]
            let listed = tools.shuffled(using: &generator).prefix(Int.random(in: 0...3, using: &generator)).map {
                name in
                Mesh.listed(
                    states.randomElement(using: &generator) ?? "",
                    since: second - Double.random(in: 0...9, using: &generator),
                    name,
                    restarts: Int.random(in: 0..<5, using: &generator),
                    error: Bool.random(using: &generator) ? "exited with code 3" : nil,
                    next: Bool.random(using: &generator) ? second + 60 : nil
                )
            }
            .map { member -> JSONValue in
                guard var members = member.object, Bool.random(using: &generator) else { return member }
                members = JSONObject(
                    members.map { ($0.key, $0.value) } + [
                        ("ready", .bool(Bool.random(using: &generator))), ("health", "unhealthy"),
                        ("health_reason", "no answer"), ("status", "loading"),
                        ("health_since", .string(Mesh.time(max(0, second - 3)).description)),
                    ]
                )
                return .object(members)
            }
            let omitted: JSONValue? = Bool.random(using: &generator) ? 1 : nil
            return Mesh.health(second, node: node, tools: .array(listed), omitted: omitted, ["instance": instance])
        case 8: return Mesh.tool("installed", second, node: node, ["tool": tool, "version": "v\u{2028}2"])
        case 9: return Mesh.tool("configured", second, node: node, ["tool": tool])
        case 10: return Mesh.tool("started", second, node: node, ["tool": tool])
        case 18: return Mesh.tool("started", second, node: node, ["ready": false, "tool": tool])
        case 19: return Mesh.tool("ready", second, node: node, ["after_s": 1, "tool": tool])
        case 20: return Mesh.tool("unhealthy", second, node: node, ["reason": "no answer", "tool": tool])
        case 21: return Mesh.tool("healthy", second, node: node, ["tool": tool])
        case 11:
            return Mesh.tool("crashed", second, node: node, ["error": "boom", "restart_count": 2, "tool": tool])
        case 12:
            return Mesh.tool(
                "stopped",
                second,
                node: node,
                ["error": "boom", "failed": .bool(Bool.random(using: &generator)), "reason": "why", "tool": tool]
            )
        case 13: return Mesh.tool("removed", second, node: node, ["tool": tool])
        case 14: return Mesh.unreachable(node, second, lastSeen: max(0, second - 30))
        case 15: return Mesh.recovered(node, second)
        case 16: return Mesh.forgotten(node, second)
        case 22:
            let (failed, next) = (Bool.random(using: &generator), Bool.random(using: &generator))
            var data: [String: JSONValue] = ["code": failed ? 1 : 0, "duration_s": 1.5, "tool": tool]
            if failed { (data["failed"], data["error"]) = (true, "exited with code 1") }
            if next { data["next"] = .string(Mesh.time(second + 60).description) }
            return Mesh.tool("finished", second, node: node, EventData(JSONObject(data.sorted { $0.key < $1.key })))
        default: return Mesh.maintenance(node, second, seconds: Double.random(in: 0...60, using: &generator), "disk")
        }
    }
}
