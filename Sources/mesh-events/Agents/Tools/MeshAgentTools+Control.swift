import MeshEvents
import MeshEventsNATS

extension MeshAgentTools {
    /// The tools that act on the mesh.
    var control: [AgentTool] {
        [
            acting(
                .start,
                "start_tool",
                "Start a tool",
                "Starts a tool on its node; one that runs is left alone.",
                effect: .adds,
                isIdempotent: true
            ),
            acting(
                .stop,
                "stop_tool",
                "Stop a tool",
                "Stops a tool and all its processes; it stays stopped until it is started again.",
                effect: .interrupts,
                isIdempotent: true
            ),
            acting(
                .restart,
                "restart_tool",
                "Restart a tool",
                "Stops a tool when it runs, and starts it.",
                effect: .interrupts,
                isIdempotent: false
            ),
            acting(
                .reload,
                "reload_tool",
                "Have a tool read its configuration again",
                "Sends a tool the signal by which it reads its configuration again, when its specification names one.",
                effect: .adds,
                isIdempotent: false
            ),
        ]
    }

    /// How long a node may take.
    private static let patience = 45

    private func acting(
        _ action: ToolAction,
        _ name: OwnWords,
        _ title: OwnWords,
        _ what: OwnWords,
        effect: AgentTool.Effect,
        isIdempotent: Bool
    ) -> AgentTool {
        AgentTool(
            name: name,
            title: title,
            description: """
                \(what) The login needs the right to control tools (the role operator or admin, where users have roles). The \
                node stores each request as an event, tool.controlled. Call it only when the user has asked for it.
                """,
            fields: [Self.toolField, Self.nodeOfToolField],
            effect: effect,
            isIdempotent: isIdempotent,
            limit: { _ in .seconds(Self.patience + 30) },
            run: { arguments, client in try await perform(action, arguments, client) }
        )
    }

    private func perform(
        _ action: ToolAction,
        _ arguments: AgentArguments,
        _ client: AgentClient
    ) async throws -> AgentAnswer {
        let tool = try arguments.required("tool")
        let node = try await node(of: tool, arguments)
        let remote = RemoteTools(node: node, connection: try await link.transport().connection)
        let request = ToolRequest(action, tool: tool, by: Self.caller(client))
        let result: ToolControlResult
        do throws(MeshEventsError) {
            result = try await remote.send(request, timeout: .seconds(Self.patience))
        } catch {
            guard error.code == .timeout else { throw error }
            throw AgentFailure(
                .timeout,
                "The node did not answer in time, and may still do it. See `explain_tool` before you ask again.",
                detail: error.message
            )
        }
        var data = UntrustedData()
        data.add("node", .string(result.node))
        data.add("tool", .string(result.tool))
        data.add("state", .string(result.state.rawValue))
        data.add("version", result.version.map { .string($0) } ?? .null)
        data.add("pid", result.pid.map { JSONValue($0) } ?? .null)
        data.add("ready", result.isReady.map { .bool($0) } ?? .null)
        data.add("last_error", result.lastError.map { .string($0) } ?? .null)
        data.add("request", .string(request.id))
        var words: [OwnWords] = ["The node has done it; `state` is the tool's state afterwards."]
        if result.otherAnswers > 0 {
            words.append("\(result.otherAnswers + 1) nodes of that name have answered, and each acts by itself.")
        }
        return AgentAnswer(words, data)
    }

    /// Who asks, for the event: the user of this process, and the agent's client as it names itself.
    static func caller(_ client: AgentClient) -> String {
        let name = client.name.isEmpty ? "" : " " + UntrustedData.text(client.name, bytes: 48)
        let agent = " (agent\(name))"
        return ToolRequest.caller.prefix(bytes: ToolRequest.maximumText - agent.utf8.count) + agent
    }
}
