import MeshEvents
import MeshMonitoring

/// What `status` shows of one node or tool: its state, and its newest events.
struct StatusDetail: Sendable {
    let subject: StatusSubject
    /// Its newest events; `nil` when they could not be read, or no stream stores them.
    let recent: RecentEvents?
    /// The time of the state.
    let now: Timestamp

    var node: MeshState.Node { subject.node }

    /// How long it has been running; `nil` when it does not run, or that is not known.
    var uptime: Duration? {
        if let tool = subject.tool {
            guard tool.state == .running, !tool.isUncertain, let since = tool.since else { return nil }
            return max(.zero, now.duration(since: since))
        }
        guard node.status == .online || node.status == .degraded else { return nil }
        // As old as its newest health event; more exact than the time of its node.joined, which a reconnect repeats.
        if let seconds = node.resources["uptime_s"]?.double, (0...1e10).contains(seconds) {
            return .seconds(seconds) + max(.zero, now.duration(since: node.lastSeen))
        }
        return node.joinedAt.map { max(.zero, now.duration(since: $0)) }
    }

    /// How often it was restarted, as far as its node counts: a tool, or all tools of a node.
    var restarts: Int {
        let tools = subject.tool.map { [$0] } ?? node.tools
        return tools.reduce(0) { $0.addingReportingOverflow($1.restartCount).partialValue }
    }

    /// How often it was restarted within the last hour; `nil` when that is not known.
    var lateRestarts: Int? {
        guard let recent, recent.isWholeHour else { return nil }
        guard let tool = subject.tool else { return recent.restarts.values.reduce(0, +) }
        return recent.restarts[tool.name] ?? 0
    }

    /// The detail as a line of JSON, with the events as `list --json` prints them. Unknown values are null.
    func json() throws -> String {
        var members: [(String, JSONValue)] = [("time", .string(now.description))]
        if let tool = subject.tool {
            let home: JSONValue = ["name": .string(node.name), "status": .string(node.status.rawValue)]
            members += [("node", home), ("tool", tool.json)]
        } else {
            members.append(("node", node.json))
        }
        let seconds = uptime.map { JSONValue(($0 / .milliseconds(1)).rounded() / 1_000) }
        members += [
            ("uptime_s", seconds ?? .null),
            ("restarts", JSONValue(restarts)),
            ("restarts_last_hour", lateRestarts.map { JSONValue($0) } ?? .null),
        ]
        if subject.tool != nil {
            let output = recent.map { JSONValue($0.crashOutput.map { JSONValue($0) }) }
            members.append(("crash_output", output ?? .null))
        }
        let text = EventJSON()
        let events = try recent.map { "[" + (try $0.events.map(text.line)).joined(separator: ",") + "]" }
        // Joined as texts, so that data of an event may be nested as deeply as in the event itself.
        return EventData(JSONObject(members)).json.dropLast() + ",\"events\":\(events ?? "null")}"
    }
}
