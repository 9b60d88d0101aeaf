import Logging
import MeshConcurrency
import MeshEvents
import MeshLogging

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
        var resources = sampler.sample()
        resources.gpus = gpus?.devices.nonEmpty
        var members = resources.members
        var failing = checks.failing
        if let conflict = nameConflict {
            let host = conflict.otherHost.isEmpty ? "an unknown host" : conflict.otherHost
            failing["name"] = HealthCheck.reason("another live node on \(host) is named \(name) too")
        }
        if !failing.isEmpty { members["checks"] = JSONValue(failing.mapValues { .string($0) }) }
        members["uptime_s"] = JSONValue(Self.seconds(stopwatch.elapsed))
        members["host"] = .string(NodeCapabilities.host)
        identify(&members)
        // Reads what the tools use, which takes some milliseconds, so that the snapshot is quick: it has to be the newest event.
        _ = tools
        emitter.emit(
            snapshot: { health(status: failing.isEmpty ? "online" : "degraded", members) },
            shorten: { [weak self] data, error in self?.shortened(data, error) }
        )
    }

    private func health(status: String, _ members: [String: JSONValue]) -> NodeHealth {
        var members = members
        let tools = tools
        members["tools"] = JSONValue(tools.installed)
        members["open_tools"] = JSONValue(tools.running)
        return NodeHealth(
            status: status,
            resources: EventData(JSONObject(members)),
            listing: tools.list,
            within: listLimit.withLock { $0 }
        )
    }

    /// The data of a health event with half of its list of tools, for an event that is refused as too large. Later
    /// lists keep to that size.
    ///
    /// - Returns: `nil` when no tools are listed.
    private func shortened(_ data: EventData, _ error: MeshEventsError) -> EventData? {
        guard var health = try? NodeHealth(eventData: data), health.listBytes > 0 else { return nil }
        let bytes = health.listBytes
        let (limit, isFirst) = listLimit.withLock { limit in
            let isFirst = limit == NodeHealth.maximumListBytes
            // An event that waited may not know the limit yet.
            if limit >= bytes { limit = bytes / 2 }
            return (limit, isFirst)
        }
        if isFirst {
            logger.warning(
                "a health event is too large; from now on it lists fewer tools",
                [.node: "\(name)", .error: "\(error.message)"]
            )
        }
        health.limitList(to: limit)
        return try? health.eventData()
    }

    private func identify(_ members: inout [String: JSONValue]) {
        members["instance"] = .string(instance)
        members["interval_s"] = JSONValue(Self.seconds(configuration.interval))
    }

    /// The duration in seconds, rounded to milliseconds.
    private static func seconds(_ duration: Duration) -> Double {
        ((duration / .milliseconds(1)).rounded()) / 1000
    }

    func notStored(_ events: [Event], within timeout: Duration) -> MeshEventsError {
        let reason = emitter.lastError
        let types = Set(events.map(\.type.rawValue)).sorted().joined(separator: ", ")
        return MeshEventsError(
            .timeout,
            "node \(name) has left, but \(events.count) of its events could not be stored (\(types)): "
                + (reason?.message ?? "not stored within \(timeout)"),
            underlying: reason
        )
    }
}

extension Array {
    /// `nil` when it is empty.
    fileprivate var nonEmpty: [Element]? { isEmpty ? nil : self }
}
