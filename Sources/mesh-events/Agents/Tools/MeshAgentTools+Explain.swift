import MeshAlerts
import MeshEvents
import MeshMonitoring

extension MeshAgentTools {
    /// `explain_tool`.
    var explainTool: AgentTool {
        AgentTool(
            name: "explain_tool",
            title: "What became of a tool",
            description: """
                All that is known of one tool: its state, restarts, its last crash with what it wrote before that, what it \
                and its machine used around that time, its last events, the alerts about it, and what to look at next.
                """,
            fields: [Self.toolField, Self.nodeOfToolField],
            run: { arguments, _ in try await explain(arguments) }
        )
    }

    private func explain(_ arguments: AgentArguments) async throws -> AgentAnswer {
        let mesh = try await link.mesh()
        let name = try arguments.required("tool")
        let nodeName = try node(of: name, arguments, in: mesh)
        guard let node = mesh.node(nodeName), let tool = node.tool(name) else {
            let names = mesh.node(nodeName)?.tools.map(\.name) ?? []
            throw AgentFailure(
                .notFound,
                "Nothing is known of such a tool on that node; `similar` has names of its tools that are like it.",
                more: [("similar", .array(SimilarNames.of(name, among: names).map { .string($0) }))]
            )
        }
        async let alertsAnswer = ifAnswered { try await self.firing(about: name, on: node.name) }
        let history = try await ifAnswered {
            try await link.withHistory { try await Self.history(of: name, on: node.name, now: mesh.now, $0) }
        }
        let firing = try await alertsAnswer
        let recent = history?.recent ?? RecentEvents()
        let subject = StatusSubject(node: node, tool: tool)
        let detail = StatusDetail(subject: subject, recent: history?.recent, now: mesh.now)
        var data = UntrustedData()
        data.add("time", .string(mesh.now.description))
        data.add("tool", tool.json)
        data.add("uptime_s", detail.uptime.map { JSONValue(Int($0.components.seconds)) } ?? .null)
        data.add("restarts", JSONValue(detail.restarts))
        data.add("restarts_last_hour", detail.lateRestarts.map { JSONValue($0) } ?? .null)
        if let crash = recent.lastCrash { data.add("last_crash", Self.brief(crash)) }
        data.add("crash_output", list: recent.crashOutput.map { .string($0) }, keepsLast: true, reserve: 24 << 10)
        data.add("figures_around_crash", list: history?.figures ?? [], reserve: 16 << 10)
        data.add("alerts", firing ?? .null)
        data.add("events", list: recent.events.map { Self.json($0) }, keepsLast: true, reserve: 4 << 10)
        data.add("node", Self.json(node, [], detail: true))
        var words = Self.words(about: tool, on: node)
        if history != nil { words += Self.words(about: recent, detail) }
        let missing = (history == nil ? Self.historyMembers : []) + (firing == nil ? ["alerts"] : [])
        if !missing.isEmpty {
            data.add("missing", .array(missing.map { .string($0) }))
            words.append(
                "This is not everything: the stream did not answer in time about what `missing` names. Call again for that."
            )
        }
        return AgentAnswer(words, data)
    }

    /// The members of the answer that come from stored events.
    private static let historyMembers = [
        "restarts_last_hour", "last_crash", "crash_output", "figures_around_crash", "events",
    ]

    /// The newest stored events about a tool, and what was used around its last crash.
    private static func history(
        of tool: String,
        on node: String,
        now: Timestamp,
        _ history: EventHistory
    ) async throws -> (recent: RecentEvents, figures: [JSONValue]) {
        let recent = try await RecentEventReader(history: history).read(node: node, tool: tool, now: now)
        guard let crash = recent.lastCrash else { return (recent, []) }
        return (recent, try await figures(of: tool, around: crash, on: node, history))
    }

    /// A crash without its output, which is apart.
    private static func brief(_ stored: StoredEvent) -> JSONValue {
        let event = json(stored)
        guard let members = event.object, let data = members["data"]?.object else { return event }
        let rest = JSONObject(data.filter { $0.key != "output" }.map { ($0.key, $0.value) })
        let others = members.filter { $0.key != "data" }.map { ($0.key, $0.value) }
        return .object(JSONObject(others + [("data", .object(rest))]))
    }

    /// The alerts that fire about a tool; `null` when they may not be read, or no process has watched.
    ///
    /// - Throws: when there is no answer in time.
    private func firing(about tool: String, on node: String) async throws -> JSONValue {
        let overview: AlertOverview
        do {
            overview = try await link.alerts()
        } catch {
            guard AgentFailure(describing: error).code == .timeout else { return .null }
            throw error
        }
        guard overview.position != nil else { return .null }
        let about = overview.firing.filter { firing in
            let (isAboutTool, other) = (firing.alert.group["tool"] == tool, firing.alert.group["node"])
            return isAboutTool && (other == nil || other == node)
        }
        return .array(about.compactMap { try? EventData(json: AlertReading.json($0)).value })
    }

    /// What a node and a tool used around a crash: those of its health events that were stored shortly before and after.
    private static func figures(
        of tool: String,
        around crash: StoredEvent,
        on node: String,
        _ history: EventHistory
    ) async throws -> [JSONValue] {
        let before = crash.storedAt.subtracting(.seconds(60))
        let after = crash.storedAt.adding(.seconds(20))
        var query = EventHistory.Query(
            matching: .nodeHealth,
            since: before,
            until: after,
            node: node,
            limit: 10,
            timeout: .seconds(10)
        )
        (query.scanLimit, query.scanByteLimit) = (4_096, 16 << 20)
        return try await history.page(query).events.map { stored in
            let data = stored.event.data
            let use = (data["resources"]?.members ?? []).filter { shownFigures.contains($0.key) }
            let listed = data["tools"]?.elements(first: NodeHealth.maximumTools)?.elements ?? []
            return [
                "stored": .string(stored.storedAt.description),
                "machine": .object(JSONObject(use.map { ($0.key, $0.value.value) })),
                "tool": listed.first { $0["name"]?.string == tool }?.value ?? .null,
            ]
        }
    }

    private static let shownFigures: Set<String> = [
        "cpu", "load", "mem_used_mb", "mem_total_mb", "disk_free_mb", "gpus", "uptime_s",
    ]

    /// How the tool is.
    private static func words(about tool: MeshState.Tool, on node: MeshState.Node) -> [OwnWords] {
        var words: [OwnWords] = []
        if tool.isUncertain {
            words.append(
                """
                Its node is unreachable, so that this is its last known state. Look at the node with `mesh_status`, and \
                whether other nodes are unreachable too.
                """
            )
        }
        if node.isInMaintenance { words.append("Its node is in maintenance: trouble is expected.") }
        switch tool.state {
        case .installed: words.append("The tool is installed, and was never started.")
        case .starting: words.append("The tool is being started.")
        case .running where tool.unhealthyReason != nil:
            words.append("The tool runs, and does not work: its health check fails. Look at `tool_logs`.")
        case .running where !tool.isReady: words.append("The tool runs, and has not shown yet that it is ready.")
        case .running: words.append("The tool runs.")
        case .backingOff:
            words.append("The tool has crashed, and its node starts it again after a delay. Look at `crash_output`.")
        case .failed:
            words.append(
                """
                The tool has failed, and its node does not start it again. Look at `crash_output` for the cause; when that \
                is mended, the tool has to be started.
                """
            )
        case .stopped:
            words.append("The tool was stopped. `list_events` of `tool.controlled` has the requests about it.")
        case .removed: words.append("The tool was removed.")
        }
        return words
    }

    /// What its stored events say, and what to look at next.
    private static func words(about recent: RecentEvents, _ detail: StatusDetail) -> [OwnWords] {
        var words: [OwnWords] = []
        guard recent.lastCrash != nil else {
            words.append(
                recent.isWholeHour
                    ? "No crash of it is stored." : "No crash of it was found in the events that were read."
            )
            return words
        }
        words.append(
            recent.crashOutput.isEmpty
                ? "Nothing that it wrote before its last crash is stored with it. Look at `tool_logs`."
                : "`crash_output` has what it wrote last before its last crash."
        )
        words.append(
            """
            `figures_around_crash` has what the machine and the tool used then: memory near its limit, or a full disk, may \
            be the cause.
            """
        )
        if let count = detail.lateRestarts, count > 0 {
            words.append("It was restarted \(count) times in the last hour.")
        }
        return words
    }
}
