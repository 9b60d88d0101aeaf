import MeshEvents
import MeshEventsNATS
import MeshSupervision

extension MeshAgentTools {
    /// `tool_logs`.
    var toolLogs: AgentTool {
        AgentTool(
            name: "tool_logs",
            title: "Log of a tool",
            description: """
                The last lines that a tool has written, from the node on which it runs. The login needs the right to read \
                logs (the role operator or admin, where users have roles).
                """,
            fields: [
                Self.toolField, Self.nodeOfToolField,
                AgentField("lines", .integer(1...500, standard: 100), "The most lines, the last ones."),
                AgentField(
                    "since_s",
                    .integer(0...604_800, standard: 0),
                    "Only lines of the last so many seconds; 0: all."
                ),
                AgentField(
                    "contains",
                    .text(atMost: LogQuery.maximumText / 4),
                    "Only lines that contain this text."
                ),
                AgentField("stderr_only", .flag, "Only what it wrote on standard error."),
            ],
            run: { arguments, _ in try await logs(arguments) }
        )
    }

    private func logs(_ arguments: AgentArguments) async throws -> AgentAnswer {
        let tool = try arguments.required("tool")
        let node = try await node(of: tool, arguments)
        let (lines, within) = (arguments.integer("lines"), arguments.integer("since_s"))
        let log = RemoteLogs(
            node: node,
            tool: tool,
            connection: try await link.transport().connection,
            matching: LogQuery(
                lines: lines,
                within: within == 0 ? nil : .seconds(within),
                text: arguments.text("contains"),
                streams: arguments.flag("stderr_only") ? [.stderr] : Set(LogRecord.Stream.allCases)
            )
        )
        let page = try await log.page(limit: lines)
        var data = UntrustedData()
        data.add("node", .string(node))
        data.add("tool", .string(tool))
        let records = page.records.map { record -> JSONValue in
            var members: [(String, JSONValue)] = [
                ("number", JSONValue(record.number)), ("time", .string(record.time.description)),
                ("stream", .string(record.stream.rawValue)), ("line", .string(record.line)),
            ]
            if record.dropped > 0 { members.append(("dropped", JSONValue(record.dropped))) }
            return .object(JSONObject(members))
        }
        let count = data.add("lines", list: records, keepsLast: true)
        var words: [OwnWords] = [
            count == 0 ? "No line in that log matches." : "\(count) lines, the last ones, oldest first."
        ]
        let left = records.count - count
        if left > 0 { words.append("\(left) earlier ones had no room: ask for fewer, or use `contains`.") }
        return AgentAnswer(words, data)
    }
}
