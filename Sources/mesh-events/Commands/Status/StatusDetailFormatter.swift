import MeshEvents
import MeshMonitoring

/// Writes a node or a tool as text for people: facts, the tools of a node, and the newest events about it.
struct StatusDetailFormatter {
    let isColored: Bool
    let width: Int?
    var time = LocalTime()

    /// The longest data of an event that is shown where no terminal gives a width, in columns.
    private static let longestData = 400

    /// The lines.
    func lines(_ detail: StatusDetail) -> [String] {
        var lines = (detail.subject.tool.map { facts($0, detail) } ?? facts(detail.node, detail))
            .lines(isColored: isColored, width: width)
        let tools = detail.node.toolsByTrouble
        if detail.subject.tool == nil, !tools.isEmpty {
            let table = StatusFormatter.toolTable(
                tools,
                now: detail.now,
                showsNode: false,
                showsUsage: true,
                lateRestarts: detail.recent.flatMap { $0.isWholeHour ? $0.restarts : nil }
            )
            lines += [""] + table.lines(isColored: isColored, width: width)
        }
        return lines + [""] + events(detail)
    }

    // MARK: Facts

    private func facts(_ node: MeshState.Node, _ detail: StatusDetail) -> FactTable {
        let now = detail.now
        var facts = FactTable()
        facts.add("Node", SafeText.name(node.name), .cyan)
        facts.add("Status", presence(node, now), Style(of: node.status))
        facts.add(
            "Checks",
            lines: node.failingChecks.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" },
            .yellow
        )
        facts.add("Version", node.capabilities["version"]?.string)
        facts.add("Joined", node.joinedAt.map { AgeFormatter.text($0, now: now) })
        facts.add("Uptime", detail.uptime.map(AgeFormatter.span))
        facts.add("Restarts", node.tools.isEmpty ? nil : Self.restarts(detail))
        facts.add("Resources", NodeFigures.use(node.resources))
        facts.add("GPUs", lines: ToolFigures.gpus(of: node.resources))
        facts.add("Machine", NodeFigures.machine(node.capabilities))
        facts.add("Other", NodeFigures.others(node.capabilities, node.resources))
        return facts
    }

    private func facts(_ tool: MeshState.Tool, _ detail: StatusDetail) -> FactTable {
        let (node, now) = (detail.node, detail.now)
        var facts = FactTable()
        facts.add("Tool", SafeText.name(tool.name), .cyan)
        facts.add("Status", Self.status(tool, now), Style(of: tool))
        facts.add("Health", tool.unhealthyReason == nil ? nil : StatusFormatter.trouble(tool, now: now), .yellow)
        facts.add(tool.state == .running ? "Says" : "Waits", tool.statusText)
        facts.add("Version", tool.version)
        facts.add("Uptime", detail.uptime.map(AgeFormatter.span))
        facts.add("Restarts", Self.restarts(detail))
        facts.add("Uses", tool.usage.map(ToolFigures.use))
        facts.add("GPU memory", ToolFigures.gpus(tool.usage))
        let crash = tool.lastCrashAt.map { " (\(AgeFormatter.text($0, now: now)))" } ?? ""
        facts.add("Error", tool.lastError.map { $0 + crash }, Trouble(tool) == .well ? .plain : .red)
        facts.add("Output", lines: detail.recent?.crashOutput ?? [])
        facts.add("Next run", tool.nextStart.map { time.text($0) })
        facts.add("Node", "\(SafeText.name(node.name)): \(presence(node, now))", Style(of: node.status))
        return facts
    }

    /// The status of a node, when it was last seen, and whether it is in maintenance.
    private func presence(_ node: MeshState.Node, _ now: Timestamp) -> String {
        let maintenance = StatusFormatter(isColored: false, width: nil, time: time).maintenance(node, now: now)
        let parts = [Self.status(node, now), "last seen \(AgeFormatter.text(node.lastSeen, now: now))", maintenance]
        return parts.filter { !$0.isEmpty }.joined(separator: "; ")
    }

    private static func status(_ node: MeshState.Node, _ now: Timestamp) -> String {
        switch node.status {
        case .online: return "online"
        case .degraded:
            let reported = node.reportedStatus.map { $0 == "degraded" ? "" : " (it reports \($0.debugDescription))" }
            return "degraded" + (reported ?? "")
        case .unreachable: return "unreachable since \(AgeFormatter.text(node.unreachableSince, now: now))"
        case .silent: return "silent: it sends no health events, and may run or not"
        case .left:
            let reason = node.leaveReason.map { $0.isEmpty ? "" : ": \($0)" } ?? ""
            return "left \(AgeFormatter.text(node.leftAt, now: now))\(reason)"
        }
    }

    private static func status(_ tool: MeshState.Tool, _ now: Timestamp) -> String {
        let since = tool.since.map { ", since \(AgeFormatter.text($0, now: now))" } ?? ""
        let reason = tool.stopReason.map { ": \($0)" } ?? ""
        let doubt = tool.isUncertain ? ", as far as is known: its node is unreachable" : ""
        return StatusFormatter.word(tool.state) + (tool.isReady ? "" : ", not ready") + since + reason + doubt
    }

    private static func restarts(_ detail: StatusDetail) -> String {
        let total = "\(detail.restarts) in total"
        guard let recent = detail.recent else { return total }
        let count = detail.subject.tool.map { recent.restarts[$0.name] ?? 0 } ?? recent.restarts.values.reduce(0, +)
        return "\(total), \(recent.isWholeHour ? "" : "at least ")\(count) in the last hour"
    }

    // MARK: Events

    private func events(_ detail: StatusDetail) -> [String] {
        let name = detail.node.name
        let whose = detail.subject.tool == nil ? "the node and its tools" : "the tool"
        guard let recent = detail.recent else { return [note("No stored events can be read.")] }
        let older = "`mesh-events list --node \(SafeText.name(name))` reads further back"
        guard !recent.events.isEmpty else {
            let nothing = "No events about \(whose) are stored, health events aside."
            let unread = "No events about \(whose) are among the newest of the mesh; \(older)."
            return [note(recent.isWhole ? nothing : unread)]
        }
        var table = TextTable(["WHEN", "EVENT", "DATA"])
        for stored in recent.events {
            let event = stored.event
            table.add([
                .init(AgeFormatter.text(stored.storedAt, now: detail.now), .dim),
                .init(event.type.rawValue, Style(ofType: event.type.rawValue)),
                .init(SafeText.escaped(Self.text(event, about: name), columns: Self.longestData)),
            ])
        }
        let rest = recent.isWhole ? [] : [note("Older events were not looked for: \(older).")]
        return table.lines(isColored: isColored, width: width) + rest
    }

    /// The data of an event as `key=value`, the tool first, without what is known anyway.
    private static func text(_ event: Event, about node: String) -> String {
        let tool = event.data["tool"]?.string.map { SafeText.name($0) }
        let others = NodeFigures.pairs(
            event.data,
            leavingOut: event.type == .toolCrashed ? ["node", "output", "tool"] : ["node", "tool"]
        )
        let emitter = event.node == node ? nil : "from \(SafeText.name(event.node))"
        return [tool, others.isEmpty ? nil : others, emitter].compactMap { $0 }.joined(separator: "  ")
    }

    private func note(_ text: String) -> String {
        let text = width.map { SafeText.escaped(text, columns: $0) } ?? text
        return isColored ? Style.dim.apply(to: text) : text
    }
}
