import MeshMonitoring

/// The result of `status --check`: what is wrong, in one line and an exit code, as monitoring programs read them.
struct StatusCheck: Sendable, Equatable {
    /// How many problems the line names.
    private static let named = 8
    /// The longest problem, in columns.
    private static let longestProblem = 100

    /// The worst of the problems.
    let trouble: Trouble
    /// `pi is unreachable; lab/whisper is backing off: exited with code 3`; how it is when nothing is wrong.
    let text: String
    /// `CRITICAL - ` and the text.
    var line: String { "\(trouble.word) - \(text)" }

    /// The result for the whole mesh. Nodes that left or are silent do not count: they left on purpose, or never said
    /// that they run. Neither do nodes in maintenance and their tools.
    init(_ mesh: MeshState) {
        let nodes = mesh.byTrouble
        let expected = nodes.count { $0.node.isInMaintenance }
        self.init(
            nodes.flatMap { Problem.all(of: $0.node, $0.tools) },
            wellText: StatusFormatter.summary(mesh.summary) + (expected == 0 ? "" : "; \(expected) in maintenance")
        )
    }

    /// The result for one node or tool. Whether it is in the mesh counts, too.
    init(_ subject: StatusSubject) {
        guard let tool = subject.tool else {
            let node = subject.node
            let tools = node.toolsByTrouble
            let count = tools.isEmpty ? "" : ", running \(StatusFormatter.count(tools)) tools"
            let wellText = "\(SafeText.name(node.name)) is \(node.status.rawValue)\(count)\(Self.note(node))"
            self.init(Problem.presence(of: node) + Problem.all(of: node, tools), wellText: wellText)
            return
        }
        let node = subject.node
        let wellText = "\(Problem.name(tool)) is \(StatusFormatter.word(tool))\(Self.note(node))"
        guard !node.isInMaintenance else {
            self.init(Problem.presence(of: tool), wellText: wellText)
            return
        }
        let home = node.status == .unreachable ? Problem.all(of: node, []) : Problem.presence(of: node)
        self.init(Problem.presence(of: tool) + home + (Problem(tool).map { [$0] } ?? []), wellText: wellText)
    }

    private static func note(_ node: MeshState.Node) -> String { node.isInMaintenance ? ", in maintenance" : "" }

    private init(_ problems: [Problem], wellText: String) {
        let sorted = problems.sorted { $0.trouble < $1.trouble }
        trouble = sorted.first?.trouble ?? .well
        let rest = sorted.count - Self.named
        let texts =
            sorted.prefix(Self.named).map { SafeText.escaped($0.text, columns: Self.longestProblem) }
            + (rest > 0 ? ["and \(rest) more"] : [])
        text = texts.isEmpty ? wellText : texts.joined(separator: "; ")
    }
}

extension Trouble {
    /// The exit code of `status --check`.
    var exitCode: Int32 {
        switch self {
        case .well: 0
        case .degraded: 1
        case .failed: 2
        }
    }

    /// The word for it in the notation of monitoring plugins.
    fileprivate var word: String {
        switch self {
        case .well: "OK"
        case .degraded: "WARNING"
        case .failed: "CRITICAL"
        }
    }
}

/// One thing that is wrong, as a sentence.
private struct Problem {
    let trouble: Trouble
    let text: String

    /// What is wrong with a node and its tools. The tools of an unreachable node are not named one by one.
    static func all(of node: MeshState.Node, _ tools: [MeshState.Tool]) -> [Problem] {
        guard !node.isInMaintenance else { return [] }
        let problems = tools.filter { !$0.isUncertain }.compactMap { Problem($0) }
        let trouble = Trouble(node)
        guard trouble != .well else { return problems }
        let details = node.status == .degraded ? StatusFormatter.details(node) : ""
        let text = "\(SafeText.name(node.name)) is \(node.status.rawValue)" + (details.isEmpty ? "" : ": \(details)")
        return [Problem(trouble: trouble, text: text)] + problems
    }

    /// What is wrong when a node was asked for that is not known to be in the mesh.
    static func presence(of node: MeshState.Node) -> [Problem] {
        let name = SafeText.name(node.name)
        switch node.status {
        case _ where node.isInMaintenance: return []
        case .left:
            return [Problem(trouble: .failed, text: "\(name) has left" + (node.leaveReason.map { ": \($0)" } ?? ""))]
        case .silent: return [Problem(trouble: .degraded, text: "\(name) is silent: whether it runs is not known")]
        case .online, .degraded, .unreachable: return []
        }
    }

    /// What is wrong when a tool was asked for that was removed.
    static func presence(of tool: MeshState.Tool) -> [Problem] {
        tool.state == .removed ? [Problem(trouble: .failed, text: "\(name(tool)) was removed")] : []
    }

    /// What is wrong with a tool; `nil` when nothing is.
    init?(_ tool: MeshState.Tool) {
        trouble = Trouble(tool)
        guard trouble != .well, !tool.isUncertain else { return nil }
        let verb = tool.state == .failed ? "has failed" : "is \(StatusFormatter.word(tool))"
        text = "\(Self.name(tool)) \(verb)" + ((tool.unhealthyReason ?? tool.lastError).map { ": \($0)" } ?? "")
    }

    private init(trouble: Trouble, text: String) {
        self.trouble = trouble
        self.text = text
    }

    /// `pi/whisper`.
    static func name(_ tool: MeshState.Tool) -> String { "\(SafeText.name(tool.node))/\(SafeText.name(tool.name))" }
}
