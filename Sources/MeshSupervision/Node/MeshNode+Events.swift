import MeshEvents

/// The content of a node's events.
extension MeshNode {
    func announce() {
        emitter.emit(NodeJoined(capabilities: capabilities()))
        tick.yield()
    }

    func capabilities() -> EventData {
        var members = NodeCapabilities.members
        members["version"] = configuration.version.map { .string($0) }
        members["tools"] = JSONValue(tools.installed)
        identify(&members)
        return EventData(JSONObject(configuration.extras.merging(members) { $1 }))
    }

    func emitHealth() {
        var members = sampler.sample().members
        var failing = checks.failing
        if let conflict = nameConflict {
            let host = conflict.otherHost.isEmpty ? "an unknown host" : conflict.otherHost
            failing["name"] = HealthCheck.reason("another live node on \(host) is named \(name) too")
        }
        if !failing.isEmpty { members["checks"] = JSONValue(failing.mapValues { .string($0) }) }
        members["uptime_s"] = JSONValue(Self.seconds(stopwatch.elapsed))
        members["host"] = .string(NodeCapabilities.host)
        identify(&members)
        emitter.emit(snapshot: { health(status: failing.isEmpty ? "online" : "degraded", members) })
    }

    private func health(status: String, _ members: [String: JSONValue]) -> NodeHealth {
        var members = members
        let tools = tools
        members["tools"] = JSONValue(tools.installed)
        members["open_tools"] = JSONValue(tools.running)
        return NodeHealth(status: status, resources: EventData(JSONObject(members)), listing: tools.list)
    }

    private func identify(_ members: inout [String: JSONValue]) {
        members["instance"] = .string(instance)
        members["interval_s"] = JSONValue(Self.seconds(configuration.interval))
    }

    /// The duration in seconds, rounded to milliseconds.
    private static func seconds(_ duration: Duration) -> Double {
        ((duration / .milliseconds(1)).rounded()) / 1000
    }

    func notStored(_ events: [Event]) -> MeshEventsError {
        let reason = emitter.lastError
        let types = Set(events.map(\.type.rawValue)).sorted().joined(separator: ", ")
        return MeshEventsError(
            .timeout,
            "node \(name) has left, but \(events.count) of its events could not be stored (\(types)): "
                + (reason?.message ?? "the store has not answered in time"),
            underlying: reason
        )
    }
}
