import MeshEvents
import MeshMonitoring

/// How badly something is, the worst first.
enum Trouble: Int, Sendable, Comparable {
    /// A tool has failed, or a node is unreachable.
    case failed
    /// A tool is backing off, or a node reports a problem.
    case degraded
    /// Nothing is wrong, as far as is known.
    case well

    static func < (left: Trouble, right: Trouble) -> Bool { left.rawValue < right.rawValue }

    /// The trouble of a node, its tools aside.
    init(_ status: MeshState.Node.Status) {
        switch status {
        case .unreachable: self = .failed
        case .degraded: self = .degraded
        case .online, .silent, .left: self = .well
        }
    }

    /// The trouble of a tool. What runs on an unreachable node is not known, which is as bad as a failed tool.
    init(_ tool: MeshState.Tool) {
        switch tool.state {
        case .removed: self = .well
        case _ where tool.isUncertain: self = .failed
        case .failed: self = .failed
        case .backingOff: self = .degraded
        case .installed, .starting, .running, .stopped: self = .well
        }
    }

    /// The trouble of a node or of one of its tools, whichever is worse.
    init(_ node: MeshState.Node, _ tools: [MeshState.Tool]) {
        self = tools.reduce(Trouble(node.status)) { min($0, Trouble($1)) }
    }
}

extension MeshState {
    /// The nodes sorted by trouble, then by name; each with its tools by trouble and name, removed ones aside.
    var byTrouble: [(node: Node, tools: [Tool])] {
        nodes.map { node -> (trouble: Trouble, node: Node, tools: [Tool]) in
            let tools = node.toolsByTrouble
            return (Trouble(node, tools), node, tools)
        }
        .sorted { ($0.trouble, $0.node.name) < ($1.trouble, $1.node.name) }
        .map { ($0.node, $0.tools) }
    }
}

extension MeshState.Node {
    /// The tools sorted by trouble, then by name; removed ones aside.
    var toolsByTrouble: [MeshState.Tool] { tools.filter { $0.state != .removed }.sorted(by: MeshState.Tool.isWorse) }
}

extension MeshState.Tool {
    /// Whether the first tool comes before the second one in a list that is sorted by trouble. Of tools in the same
    /// trouble, those whose state is known come first.
    static func isWorse(_ one: MeshState.Tool, _ other: MeshState.Tool) -> Bool {
        let (mine, others) = (Trouble(one), Trouble(other))
        guard mine == others else { return mine < others }
        guard one.isUncertain == other.isUncertain else { return other.isUncertain }
        return (one.node, one.name) < (other.node, other.name)
    }
}
