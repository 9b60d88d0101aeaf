public import MeshEvents

extension MeshState {
    /// The whole state as JSON, for programs. Keys are stable; what is not known is null, times are RFC 3339 in UTC.
    ///
    /// - `time`: the state's time; `summary`: the counts of ``Summary``, by the names of its properties (`backing_off`
    ///   for ``Summary/backingOff``); its member `crashed` is deprecated, and the sum of `backing_off` and `failed`;
    ///   `left_out`: the counts of ``LeftOut``.
    /// - `nodes`, by name: `name`, `status`, `reported_status`, `checks` (an object), `joined`, `last_seen`, `left`,
    ///   `leave_reason`, `unreachable_since`, `maintenance_until`,
    ///   `maintenance_reason`, `interval_s`, `sends_health`, `capabilities`, `resources`, `tools`.
    /// - `tools` of a node, by name: `name`, `version`, `state`, `uncertain`, `since`, `restart_count`, `last_error`,
    ///   `last_crash`, `stop_reason`, `next_start`, `usage` (an object with what is known of
    ///   ``/MeshEvents/ProcessUsage``), `ready`, `unhealthy` (the reason), `unhealthy_since`, `status_text`. The states are
    ///   the raw values of ``Tool/State``: `installed`, `starting`, `running`, `backing_off`, `failed`, `stopped` and `removed`.
    public var json: EventData {
        let nodes = nodes
        return [
            "time": .string(now.description),
            "summary": Summary(nodes).json,
            "left_out": leftOut.json,
            "nodes": .array(nodes.map(\.json)),
        ]
    }
}

extension MeshState.Summary {
    /// The counts as an object.
    public var json: JSONValue {
        [
            "nodes": JSONValue(nodes), "online": JSONValue(online), "degraded": JSONValue(degraded),
            "unreachable": JSONValue(unreachable), "silent": JSONValue(silent),
            "left": JSONValue(left), "tools": JSONValue(tools),
            "installed": JSONValue(installed), "starting": JSONValue(starting), "running": JSONValue(running),
            "backing_off": JSONValue(backingOff), "failed": JSONValue(failed), "stopped": JSONValue(stopped),
            "crashed": JSONValue(backingOff + failed), "uncertain": JSONValue(uncertain),
        ]
    }
}

extension MeshState.LeftOut {
    /// The counts as an object.
    public var json: JSONValue {
        ["nodes": JSONValue(nodes), "tools": JSONValue(tools), "values": JSONValue(values)]
    }
}

extension MeshState.Node {
    /// The node as an object; see ``MeshState/json``.
    public var json: JSONValue {
        [
            "name": .string(name),
            "status": .string(status.rawValue),
            "reported_status": .text(reportedStatus),
            "checks": JSONValue(failingChecks.mapValues { .string($0) }),
            "joined": .time(joinedAt),
            "last_seen": .time(lastSeen),
            "left": .time(leftAt),
            "leave_reason": .text(leaveReason),
            "unreachable_since": .time(unreachableSince),
            "maintenance_until": .time(maintenanceUntil),
            "maintenance_reason": .text(maintenanceReason),
            "interval_s": JSONValue(healthInterval / .seconds(1)),
            "sends_health": .bool(sendsHealth),
            "capabilities": JSONValue(capabilities),
            "resources": JSONValue(resources),
            "tools": .array(tools.map(\.json)),
        ]
    }
}

extension MeshState.Tool {
    /// The tool as an object; see ``MeshState/json``.
    public var json: JSONValue {
        [
            "name": .string(name),
            "version": .text(version),
            "state": .string(state.rawValue),
            "uncertain": .bool(isUncertain),
            "since": .time(since),
            "restart_count": JSONValue(restartCount),
            "last_error": .text(lastError),
            "last_crash": .time(lastCrashAt),
            "stop_reason": .text(stopReason),
            "usage": usage?.json ?? .null,
            "ready": .bool(isReady),
            "unhealthy": .text(unhealthyReason),
            "unhealthy_since": .time(unhealthySince),
            "status_text": .text(statusText),
            "next_start": .time(nextStart),
        ]
    }
}

extension JSONValue {
    fileprivate static func text(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
    fileprivate static func time(_ time: Timestamp?) -> JSONValue { .text(time?.description) }
}
