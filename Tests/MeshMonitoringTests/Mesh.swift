import MeshEvents

@testable import MeshMonitoring

/// Builds events of a mesh, at seconds after a fixed moment.
enum Mesh {
    static let start = Timestamp(nanosecondsSinceEpoch: 1_800_000_000_000_000_000)

    static func time(_ second: Double) -> Timestamp { start.adding(.seconds(second)) }

    static func event(_ type: EventType, _ second: Double, node: String = "pi", _ data: EventData = nil) -> Event {
        Event(type, node: node, timestamp: time(second), data: data)
    }

    static func joined(_ second: Double, node: String = "pi", _ capabilities: JSONValue = ["tools": 1]) -> Event {
        event(.nodeJoined, second, node: node, ["capabilities": capabilities])
    }

    static func health(
        _ second: Double,
        node: String = "pi",
        _ status: String = "online",
        _ resources: JSONValue = ["interval_s": 10]
    ) -> Event {
        event(.nodeHealth, second, node: node, ["resources": resources, "status": .string(status)])
    }

    /// A health event with a list of tools.
    static func health(
        _ second: Double,
        node: String = "pi",
        tools: JSONValue,
        omitted: JSONValue? = nil,
        _ resources: JSONValue = ["interval_s": 10]
    ) -> Event {
        var members: [(String, JSONValue)] = [("resources", resources), ("status", "online"), ("tools", tools)]
        if let omitted { members.append(("tools_omitted", omitted)) }
        return event(.nodeHealth, second, node: node, EventData(JSONObject(members)))
    }

    /// A tool as its node lists it.
    static func listed(
        _ state: String,
        since second: Double,
        _ name: String = "whisper",
        version: String = "v1.0.0",
        restarts: Int = 0,
        error: String? = nil,
        usage: JSONValue? = nil,
        next: Double? = nil,
        text: String? = nil
    ) -> JSONValue {
        var members: [String: JSONValue] = [
            "name": .string(name), "version": .string(version), "state": .string(state),
            "since": .string(time(second).description), "restarts": JSONValue(restarts),
        ]
        members["error"] = error.map { .string($0) }
        members["usage"] = usage
        members["next"] = next.map { .string(time($0).description) }
        members["status"] = text.map { .string($0) }
        return JSONValue(members)
    }

    static func left(_ second: Double, node: String = "pi", _ reason: String = "shutdown") -> Event {
        event(.nodeLeft, second, node: node, ["reason": .string(reason)])
    }

    static func tool(_ what: String, _ second: Double, node: String = "pi", _ data: EventData = ["tool": "whisper"])
        -> Event
    {
        event(EventType(stringLiteral: "tool." + what), second, node: node, data)
    }

    static func unreachable(_ node: String, _ second: Double, lastSeen: Double) -> Event {
        event(
            .nodeUnreachable,
            second,
            node: "keeper",
            ["last_seen": .string(time(lastSeen).description), "missed": 3, "node": .string(node), "tools": []]
        )
    }

    static func recovered(_ node: String, _ second: Double) -> Event {
        event(.nodeRecovered, second, node: "keeper", ["away_s": 1, "node": .string(node)])
    }

    static func forgotten(_ node: String, _ second: Double) -> Event {
        event(.nodeForgotten, second, node: "admin", ["node": .string(node)])
    }

    static func maintenance(_ node: String, _ second: Double, seconds: Double, _ reason: String) -> Event {
        let data: EventData = ["for_s": JSONValue(seconds), "node": .string(node), "reason": .string(reason)]
        return event(.nodeMaintenance, second, node: "admin", data)
    }

    /// The state after events, at a second.
    static func state(_ events: [Event], at second: Double) -> MeshState {
        var state = MeshState()
        for event in events { state.apply(event) }
        state.advance(to: time(second))
        return state
    }
}
