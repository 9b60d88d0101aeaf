import MeshEvents
import MeshMonitoring

extension MeshAgentTools {
    /// `mesh_status`.
    var meshStatus: AgentTool {
        AgentTool(
            name: "mesh_status",
            title: "State of the mesh",
            description: """
                The nodes of the mesh and their tools, as the stored events describe them: which are online, unreachable, \
                running, crashed. What is in trouble comes first.
                """,
            fields: [
                AgentField("node", .text(atMost: Self.longestName), "Only this node."),
                AgentField("only_trouble", .flag, "Only nodes and tools with which something is wrong."),
                AgentField(
                    "detail",
                    .flag,
                    "Also what the machines are and use, and what the tools use. It takes much more room."
                ),
                AgentField("limit", .integer(1...200, standard: 50), "The most nodes in the answer."),
            ],
            run: { arguments, _ in try await status(arguments) }
        )
    }

    private func status(_ arguments: AgentArguments) async throws -> AgentAnswer {
        let mesh = try await link.mesh()
        var nodes = mesh.byTrouble
        if let name = arguments.text("node") {
            nodes.removeAll { $0.node.name != name }
            guard !nodes.isEmpty else {
                throw AgentFailure(
                    .notFound,
                    "Nothing is known of a node of that name; `similar` has names that are like it.",
                    more: [("similar", .array(SimilarNames.of(name, among: mesh.nodeNames).map { .string($0) }))]
                )
            }
        }
        let onlyTrouble = arguments.flag("only_trouble")
        if onlyTrouble { nodes.removeAll { Trouble($0.node, $0.tools) == .well } }
        let detail = arguments.flag("detail")
        let values = nodes.prefix(arguments.integer("limit")).map { node, tools in
            let shown = onlyTrouble && !node.isInMaintenance ? tools.filter { Trouble($0) != .well } : tools
            return Self.json(node, shown, detail: detail)
        }
        let summary = mesh.summary
        var data = UntrustedData()
        data.add("time", .string(mesh.now.description))
        data.add("summary", summary.json)
        let listed = data.add("nodes", list: values)
        var words: [OwnWords] = [
            """
            \(summary.nodes) nodes: \(summary.online) online, \(summary.degraded) degraded, \(summary.unreachable) \
            unreachable, \(summary.silent) silent, \(summary.left) left. \(summary.tools) tools: \(summary.running) running, \
            \(summary.backingOff) backing off after a crash, \(summary.failed) failed, \(summary.stopped) stopped.
            """,
            "\(listed) nodes are listed, those in trouble first.",
        ]
        let rest = nodes.count - listed
        if rest > 0 { words.append("\(rest) more are left out: ask for one with `node`, or give `only_trouble`.") }
        return AgentAnswer(words, data)
    }

    /// A node, in the form of `status --json`; without details what says how it is.
    static func json(_ node: MeshState.Node, _ tools: [MeshState.Tool], detail: Bool) -> JSONValue {
        let members = (node.json.object ?? [:]).filter { $0.key != "tools" && (detail || briefNode.contains($0.key)) }
        let list = tools.map { tool -> JSONValue in
            guard !detail else { return tool.json }
            return .object(
                JSONObject((tool.json.object ?? [:]).filter { briefTool.contains($0.key) && !$0.value.isNull })
            )
        }
        let shown = members.filter { detail || !$0.value.isNull }.map { ($0.key, $0.value) }
        return .object(JSONObject(shown + [("tools", .array(list))]))
    }

    private static let briefNode: Set<String> = [
        "name", "status", "reported_status", "checks", "last_seen", "left", "leave_reason", "unreachable_since",
        "maintenance_until", "maintenance_reason",
    ]
    private static let briefTool: Set<String> = [
        "name", "version", "state", "uncertain", "since", "restart_count", "last_error", "last_crash", "stop_reason",
        "ready", "unhealthy", "unhealthy_since", "status_text", "next_start",
    ]
}
