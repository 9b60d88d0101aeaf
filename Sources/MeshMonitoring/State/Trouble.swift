/// How badly something is, the worst first.
package enum Trouble: Int, Sendable, Comparable {
    /// A tool has failed, or a node is unreachable.
    case failed
    /// A tool is backing off or unhealthy, or a node reports a problem.
    case degraded
    /// Nothing is wrong, as far as is known.
    case well

    package static func < (left: Trouble, right: Trouble) -> Bool { left.rawValue < right.rawValue }

    /// The trouble of a node, its tools aside.
    package init(_ node: MeshState.Node) {
        switch node.status {
        case _ where node.isInMaintenance: self = .well
        case .unreachable: self = .failed
        case .degraded: self = .degraded
        case .online, .silent, .left: self = .well
        }
    }

    /// The trouble of a tool. What runs on an unreachable node is not known, which is as bad as a failed tool.
    package init(_ tool: MeshState.Tool) {
        switch tool.state {
        case .removed: self = .well
        case _ where tool.isUncertain: self = .failed
        case .failed: self = .failed
        case .backingOff: self = .degraded
        case .running where tool.unhealthyReason != nil: self = .degraded
        case .installed, .starting, .running, .stopped: self = .well
        }
    }

    /// The trouble of a node or of one of its tools, whichever is worse.
    package init(_ node: MeshState.Node, _ tools: [MeshState.Tool]) {
        self = node.isInMaintenance ? .well : tools.reduce(Trouble(node)) { min($0, Trouble($1)) }
    }
}

extension MeshState {
    /// The nodes sorted by trouble, then by name; each with its tools by trouble and name, removed ones aside.
    package var byTrouble: [(node: Node, tools: [Tool])] {
        nodes.map { node -> (trouble: Trouble, node: Node, tools: [Tool]) in
            let tools = node.toolsByTrouble
            return (Trouble(node, tools), node, tools)
        }
        .sorted { ($0.trouble, $0.node.name) < ($1.trouble, $1.node.name) }
        .map { ($0.node, $0.tools) }
    }
}

extension MeshState.Node {
    /// Whether trouble is expected: nothing of a node in maintenance, and of its tools, counts as trouble.
    package var isInMaintenance: Bool { maintenanceUntil != nil }

    /// The tools sorted by trouble, then by name; removed ones aside.
    package var toolsByTrouble: [MeshState.Tool] {
        MeshState.Tool.byTrouble(tools.filter { $0.state != .removed }, inMaintenance: isInMaintenance ? [name] : [])
    }
}

extension MeshState.Tool {
    /// Sorts tools by trouble, then by node and name. Of tools in the same trouble, those whose state is known come
    /// first.
    ///
    /// - Parameter nodes: the nodes in maintenance: their tools are in no trouble.
    package static func byTrouble(_ tools: [MeshState.Tool], inMaintenance nodes: Set<String>) -> [MeshState.Tool] {
        tools.map { (trouble: nodes.contains($0.node) ? .well : Trouble($0), tool: $0) }
            .sorted { one, other in
                guard one.trouble == other.trouble else { return one.trouble < other.trouble }
                guard one.tool.isUncertain == other.tool.isUncertain else { return other.tool.isUncertain }
                return (one.tool.node, one.tool.name) < (other.tool.node, other.tool.name)
            }
            .map(\.tool)
    }
}
