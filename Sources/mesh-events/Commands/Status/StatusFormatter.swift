import MeshAlerts
import MeshEvents
import MeshMonitoring

/// Writes the mesh as text for people: a line with counts, a table of nodes and one of tools, both sorted by trouble.
struct StatusFormatter {
    let isColored: Bool
    let width: Int?
    var time = LocalTime()

    /// The lines.
    ///
    /// - Parameters:
    ///   - state: the mesh.
    ///   - alerts: the alerts that fire, above all else; `nil` when they are not known.
    ///   - node: the only node to show; `nil` for all.
    func lines(_ state: MeshState, alerts: AlertsAtMoment? = nil, node: String? = nil) -> [String] {
        let firing = alerts.map { alertLines($0, now: state.now) } ?? []
        let nodes = state.byTrouble
        let leftOut = Self.leftOut(state.leftOut).map { [$0] } ?? []
        guard !nodes.isEmpty else {
            let nothing =
                node.map { "nothing is known of a node \(SafeText.escaped($0.debugDescription))" }
                ?? "no node or tool is known yet; `mesh-events serve` starts a node"
            return firing + [nothing] + leftOut
        }
        var lines = firing + [Self.summary(state.summary)] + leftOut + [""]
        lines += nodeTable(nodes, now: state.now).lines(isColored: isColored, width: width)
        let tools = MeshState.Tool.byTrouble(
            nodes.flatMap(\.tools),
            inMaintenance: Set(nodes.map(\.node).filter(\.isInMaintenance).map(\.name))
        )
        if !tools.isEmpty {
            lines += [""] + Self.toolTable(tools, now: state.now).lines(isColored: isColored, width: width)
        }
        return lines
    }

    /// How many alerts fire, a table of them, and whether no process watches; then an empty line.
    private func alertLines(_ alerts: AlertsAtMoment, now: Timestamp) -> [String] {
        var lines: [String] = []
        let firing = alerts.firing
        if !firing.isEmpty {
            let count = "\(firing.count) \(firing.count == 1 ? "alert fires" : "alerts fire")"
            lines.append(isColored ? Style.red.apply(to: count) : count)
            lines += AlertReading.table(firing, now: now).lines(isColored: isColored, width: width)
        }
        if let unwatched = alerts.unwatched(time, now: now) {
            lines.append(isColored ? Style.yellow.apply(to: unwatched) : unwatched)
        }
        return lines.isEmpty ? [] : lines + [""]
    }

    /// `3 nodes: 2 online, 1 left; 4 tools: 3 running, 1 failed`.
    static func summary(_ summary: MeshState.Summary) -> String {
        func part(_ count: Int, _ name: String, _ parts: [(Int, String)]) -> String {
            let parts = parts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
            return "\(count) \(name)\(count == 1 ? "" : "s")" + (parts.isEmpty ? "" : ": " + parts)
        }
        let nodes = part(
            summary.nodes,
            "node",
            [
                (summary.online, "online"), (summary.degraded, "degraded"), (summary.unreachable, "unreachable"),
                (summary.silent, "silent"), (summary.left, "left"),
            ]
        )
        let tools = part(
            summary.tools,
            "tool",
            [
                (summary.running, "running"), (summary.failed, "failed"), (summary.backingOff, "backing off"),
                (summary.starting, "starting"), (summary.stopped, "stopped"), (summary.installed, "installed"),
                (summary.uncertain, "uncertain"),
            ]
        )
        return "\(nodes); \(tools)"
    }

    /// `left out: 20 nodes, 3 events about tools, 1 event with oversized values`; `nil` when nothing was.
    static func leftOut(_ counts: MeshState.LeftOut) -> String? {
        guard !counts.isEmpty else { return nil }
        func part(_ count: UInt64, _ one: String, _ many: String) -> String? {
            count == 0 ? nil : "\(count) \(count == 1 ? one : many)"
        }
        let parts = [
            part(counts.nodes, "node", "nodes"), part(counts.tools, "event about tools", "events about tools"),
            part(counts.values, "event with oversized values", "events with oversized values"),
        ]
        return "left out: " + parts.compactMap { $0 }.joined(separator: ", ")
    }

    private func nodeTable(_ nodes: [(node: MeshState.Node, tools: [MeshState.Tool])], now: Timestamp) -> TextTable {
        var table = TextTable(["NODE", "STATUS", "SEEN", "JOINED", "TOOLS", "DETAILS"], shrinking: [0])
        for (node, tools) in nodes {
            table.add([
                .name(SafeText.name(node.name), .cyan),
                .init(node.status.rawValue, Style(of: node.status)),
                .init(AgeFormatter.text(node.lastSeen, now: now)),
                .init(AgeFormatter.text(node.joinedAt, now: now)),
                .init(Self.count(tools)),
                .init(
                    [maintenance(node, now: now), Self.details(node)].filter { !$0.isEmpty }.joined(separator: "; ")
                ),
            ])
        }
        return table
    }

    /// How many tools run, of how many: `2/3`.
    static func count(_ tools: [MeshState.Tool]) -> String {
        let running = tools.count { $0.state == .running && !$0.isUncertain }
        return tools.isEmpty ? "-" : "\(running)/\(tools.count)"
    }

    /// The table of tools, in this order.
    ///
    /// - Parameters:
    ///   - showsNode: whether a column has the names of their nodes.
    ///   - showsUsage: whether columns say what they use, when that is known of one.
    ///   - lateRestarts: how often they were restarted within the last hour, by name; `nil` when that is not known.
    static func toolTable(
        _ tools: [MeshState.Tool],
        now: Timestamp,
        showsNode: Bool = true,
        showsUsage: Bool = false,
        lateRestarts: [String: Int]? = nil
    ) -> TextTable {
        let showsUsage = showsUsage && tools.contains { $0.usage != nil }
        let showsGPUs = showsUsage && tools.contains { $0.usage?.gpus.isEmpty == false }
        let usage = (showsUsage ? ["CPU", "MEMORY"] : []) + (showsGPUs ? ["GPU"] : [])
        let headings = ["TOOL", "VERSION", "STATE", "SINCE", "RESTARTS"] + usage + ["DETAILS"]
        var table = TextTable((showsNode ? ["NODE"] : []) + headings, shrinking: showsNode ? [0, 1, 2] : [0, 1])
        for tool in tools {
            let late = lateRestarts?[tool.name].map { ", \($0) in 1h" } ?? ""
            var cells: [TextTable.Cell] = [
                .name(SafeText.name(tool.name)),
                .name(tool.version.map { SafeText.name($0) } ?? "-"),
                .init(word(tool) + (tool.isUncertain ? "?" : ""), Style(of: tool)),
                .init(AgeFormatter.text(tool.since, now: now)),
                .init("\(tool.restartCount)\(late)"),
            ]
            if showsUsage {
                cells.append(.init(ToolFigures.cpu(tool.usage)))
                cells.append(.init(tool.usage?.memoryMB.map(ToolFigures.size) ?? "-"))
            }
            if showsGPUs { cells.append(.init(ToolFigures.gpus(tool.usage))) }
            cells.append(.init(details(tool, now: now)))
            table.add((showsNode ? [.name(SafeText.name(tool.node), .cyan)] : []) + cells)
        }
        return table
    }

    /// `in maintenance until 14:05: new disk`; empty when the node is not.
    func maintenance(_ node: MeshState.Node, now: Timestamp) -> String {
        guard let until = node.maintenanceUntil else { return "" }
        let reason = node.maintenanceReason.map { $0.isEmpty ? "" : ": \($0)" } ?? ""
        return "in maintenance until \(time.short(until, now: now))\(reason)"
    }

    /// The details of a node: why it left, which checks fail, else its figures.
    static func details(_ node: MeshState.Node) -> String {
        switch node.status {
        case .left: return node.leaveReason ?? ""
        case .degraded:
            let checks = node.failingChecks.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
            let status = node.reportedStatus == "degraded" ? [] : [node.reportedStatus ?? ""]
            return (status + checks).joined(separator: "; ")
        case .silent: return "sends no health events: it may run or not"
        case .online, .unreachable: return NodeFigures.line(node)
        }
    }

    /// The state of a tool in words, and whether it works.
    static func word(_ tool: MeshState.Tool) -> String {
        if tool.unhealthyReason != nil { return "unhealthy" }
        return tool.isReady ? word(tool.state) : "running, not ready"
    }

    /// The state in words.
    static func word(_ state: MeshState.Tool.State) -> String {
        state == .backingOff ? "backing off" : state.rawValue
    }

    /// The details of a tool: what it waits for, why it does not run or work or its last crash, and when it is started next.
    static func details(_ tool: MeshState.Tool, now: Timestamp) -> String {
        let waits = tool.state == .running ? nil : tool.statusText
        let next = tool.nextStart.map { "next run in \(AgeFormatter.span($0.duration(since: now)))" }
        return [waits, trouble(tool, now: now), next].compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: "; ")
    }

    /// Why a tool does not run or work, or its last crash; empty when there is nothing to say.
    static func trouble(_ tool: MeshState.Tool, now: Timestamp) -> String {
        switch tool.state {
        case .backingOff: return tool.lastError ?? ""
        case .failed: return [tool.stopReason, tool.lastError].compactMap { $0 }.joined(separator: ": ")
        case .stopped: return tool.stopReason ?? ""
        case .running, .starting, .installed, .removed:
            if let reason = tool.unhealthyReason {
                let age = tool.unhealthySince.map { " \(AgeFormatter.text($0, now: now))" } ?? ""
                return "unhealthy\(age): \(reason)"
            }
            guard let error = tool.lastError else { return "" }
            return tool.lastCrashAt.map { "crashed \(AgeFormatter.text($0, now: now)): \(error)" }
                ?? "crashed: \(error)"
        }
    }
}

extension Style {
    init(of status: MeshState.Node.Status) {
        switch status {
        case .online: self = .green
        case .degraded: self = .yellow
        case .unreachable: self = .red
        case .silent, .left: self = .dim
        }
    }

    init(of tool: MeshState.Tool) {
        if tool.isUncertain {
            self = .dim
            return
        }
        switch tool.state {
        case .running: self = tool.readiness.suffices ? .green : .yellow
        case .failed: self = .red
        case .backingOff, .starting, .stopped: self = .yellow
        case .installed, .removed: self = .plain
        }
    }
}
