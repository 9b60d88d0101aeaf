import MeshEvents
import MeshMonitoring

/// Writes the mesh as text for people: a line with counts, a table of nodes and one of tools.
struct StatusFormatter {
    let isColored: Bool
    let width: Int?

    /// The lines.
    ///
    /// - Parameter node: the only node to show; `nil` for all.
    func lines(_ state: MeshState, node: String? = nil) -> [String] {
        let nodes = state.nodes
        let leftOut = Self.leftOut(state.leftOut).map { [$0] } ?? []
        guard !nodes.isEmpty else {
            let nothing =
                node.map { "nothing is known of a node \(SafeText.escaped($0.debugDescription))" }
                ?? "no node or tool is known yet; `mesh-events serve` starts a node"
            return [nothing] + leftOut
        }
        var lines = [Self.summary(state.summary)] + leftOut + [""]
        lines += nodeTable(nodes, now: state.now).lines(isColored: isColored, width: width)
        if let tools = toolTable(nodes, now: state.now) {
            lines += [""] + tools.lines(isColored: isColored, width: width)
        }
        return lines
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

    private func nodeTable(_ nodes: [MeshState.Node], now: Timestamp) -> TextTable {
        var table = TextTable(["NODE", "STATUS", "SEEN", "JOINED", "TOOLS", "DETAILS"])
        for node in nodes {
            let tools = node.tools.filter { $0.state != .removed }
            let running = tools.count { $0.state == .running && !$0.isUncertain }
            table.add([
                .name(SafeText.name(node.name), .cyan),
                .init(node.status.rawValue, Style(of: node.status)),
                .init(AgeFormatter.text(node.lastSeen, now: now)),
                .init(AgeFormatter.text(node.joinedAt, now: now)),
                .init(tools.isEmpty ? "-" : "\(running)/\(tools.count)"),
                .init(Self.details(node)),
            ])
        }
        return table
    }

    private func toolTable(_ nodes: [MeshState.Node], now: Timestamp) -> TextTable? {
        let tools = nodes.flatMap(\.tools).filter { $0.state != .removed }
        guard !tools.isEmpty else { return nil }
        var table = TextTable(["NODE", "TOOL", "VERSION", "STATE", "SINCE", "RESTARTS", "DETAILS"])
        for tool in tools {
            table.add([
                .name(SafeText.name(tool.node), .cyan),
                .name(SafeText.name(tool.name)),
                .name(tool.version.map { SafeText.name($0) } ?? "-"),
                .init(Self.word(tool.state) + (tool.isUncertain ? "?" : ""), Style(of: tool)),
                .init(AgeFormatter.text(tool.since, now: now)),
                .init("\(tool.restartCount)"),
                .init(Self.details(tool, now: now)),
            ])
        }
        return table
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
        case .online, .unreachable:
            let figures = figures(node.resources)
            return figures.isEmpty ? self.figures(node.capabilities) : figures
        }
    }

    /// The state in words.
    private static func word(_ state: MeshState.Tool.State) -> String {
        state == .backingOff ? "backing off" : state.rawValue
    }

    private static func details(_ tool: MeshState.Tool, now: Timestamp) -> String {
        switch tool.state {
        case .backingOff: return tool.lastError ?? ""
        case .failed: return [tool.stopReason, tool.lastError].compactMap { $0 }.joined(separator: ": ")
        case .stopped: return tool.stopReason ?? ""
        case .running, .starting, .installed, .removed:
            guard let error = tool.lastError else { return "" }
            return tool.lastCrashAt.map { "crashed \(AgeFormatter.text($0, now: now)): \(error)" }
                ?? "crashed: \(error)"
        }
    }

    /// Numbers, texts and lists of them as `key=value`, without values that are only for programs.
    private static func figures(_ data: EventData) -> String {
        data.members.filter { !["instance", "interval_s"].contains($0.key) }
            .compactMap { member in
                if let text = member.value.string { return "\(member.key)=\(SafeText.name(text))" }
                if let list = member.value.array, !list.contains(where: { $0.isObject || $0.array != nil }) {
                    return "\(member.key)=\(list.map { $0.string ?? $0.json }.joined(separator: ","))"
                }
                return member.value.isObject || member.value.isNull || member.value.array != nil
                    ? nil : "\(member.key)=\(member.value.json)"
            }
            .joined(separator: " ")
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
        case .running: self = .green
        case .failed: self = .red
        case .backingOff, .starting, .stopped: self = .yellow
        case .installed, .removed: self = .plain
        }
    }
}

/// Prints the status on standard output: as text, as JSON, or in place on a terminal.
struct StatusPrinter: Sendable {
    let json: Bool
    let node: String?
    private let output: LineOutput
    private let terminal: Terminal

    init(json: Bool, node: String?, stop: StopRequest, terminal: Terminal = .output) {
        self.json = json
        self.node = node
        self.terminal = terminal
        output = .standard(stop: stop)
    }

    /// Whether the status is drawn over the previous one.
    var isInPlace: Bool { !json && terminal.isTerminal }

    /// Prints the status.
    ///
    /// - Throws: `OutputClosed` when standard output has no reader any more.
    func print(_ state: MeshState) throws {
        let state = shown(state)
        if json {
            try output.write(terminal.safe(json: state.json.json))
        } else {
            try output.write(text.lines(state, node: node).joined(separator: "\n"))
        }
    }

    /// How long changes are gathered before they are shown together.
    static let pause: Duration = .milliseconds(100)

    /// Whether a change causes a new output.
    func isShown(_ change: MeshState.Change) -> Bool {
        if let node, change.node != node { return false }
        return isInPlace || !change.kinds.subtracting(.resources).isEmpty
    }

    /// Shows the status again: in place, or after the previous output.
    func show(_ state: MeshState, heading: String, isFirst: Bool) throws {
        guard !isInPlace else { return try draw(state, heading: heading, isFirst: isFirst) }
        if !isFirst, !json { try output.write("") }
        try print(state)
    }

    /// Draws the status over the previous one, below a heading; lines that do not fit are counted. The terminal's last
    /// row is left for the cursor.
    private func draw(_ state: MeshState, heading: String, isFirst: Bool) throws {
        let width = terminal.width ?? 80
        let title = SafeText.escaped(heading, columns: width)
        let lines = Self.fitting(
            [title, ""] + text.lines(shown(state), node: node),
            rows: terminal.height.map { $0 - 1 }
        )
        let picture = lines.map { $0 + "\u{1B}[K" }.joined(separator: "\r\n")
        try output.write((isFirst ? "\u{1B}[2J" : "") + "\u{1B}[H" + picture + "\u{1B}[J")
    }

    /// The lines that fit; the last one says how many do not.
    static func fitting(_ lines: [String], rows: Int?) -> [String] {
        guard let rows, lines.count > rows, rows > 1 else { return lines }
        return Array(lines.prefix(rows - 1)) + ["… and \(lines.count - rows + 1) more lines"]
    }

    private var text: StatusFormatter { StatusFormatter(isColored: terminal.usesColor(), width: terminal.width) }

    private func shown(_ state: MeshState) -> MeshState { node.map { state.restricted(to: $0) } ?? state }
}

/// Writes how long ago something was: `3s ago`, `2m ago`, `5h ago`, `4d ago`.
enum AgeFormatter {
    /// The age of a moment; `-` when there is none.
    static func text(_ time: Timestamp?, now: Timestamp) -> String {
        guard let time else { return "-" }
        // Clocks differ: a time in the future counts as now.
        let seconds = max(0, now.duration(since: time).components.seconds)
        switch seconds {
        case ..<1: return "now"
        case ..<120: return "\(seconds)s ago"
        case ..<7_200: return "\(seconds / 60)m ago"
        case ..<172_800: return "\(seconds / 3_600)h ago"
        default: return "\(seconds / 86_400)d ago"
        }
    }
}
