import MeshEvents

/// Writes a stream's report for people and for programs.
enum StreamText {
    /// The report in lines for people.
    static func lines(_ report: StreamReport) -> [String] {
        let state = report.state
        var lines = [
            "stream            \(SafeText.name(state.name))",
            "events            \(state.messages), \(bytes(state.bytes))",
            "sequences         \(state.firstSequence) to \(state.lastSequence)",
        ]
        if let first = report.firstTime, let last = report.lastTime {
            lines += ["oldest            \(first)", "newest            \(last)"]
        }
        lines += limits(report.configuration)
        if !report.subjects.isEmpty {
            lines += ["", "events by type"]
            let width = "\(report.subjects.values.max() ?? 0)".count
            lines += types(report).map { type, count in
                String(repeating: " ", count: width - "\(count)".count + 2) + "\(count)  \(SafeText.name(type))"
            }
        }
        if !report.consumers.isEmpty {
            lines += ["", "consumers"]
            lines += report.consumers.map { consumer in
                let filters = consumer.filters.map(SafeText.name).joined(separator: " ")
                return "  \(SafeText.name(consumer.name))\(consumer.isDurable ? "" : " (temporary)"): "
                    + "lag \(consumer.pending), \(consumer.unacknowledged) unacknowledged, \(consumer.redelivered) of them redelivered"
                    + (filters.isEmpty ? "" : ", reads \(filters)")
            }
        }
        return lines
    }

    /// The stream's limits in lines for people.
    static func limits(_ configuration: PersistenceConfiguration) -> [String] {
        [
            "kept for          \(configuration.maximumAge.map(duration) ?? "ever")",
            "at most           \(configuration.maximumMessages.map { "\($0) events" } ?? "any number of events")"
                + (configuration.maximumBytes.map { ", \(bytes(UInt64($0)))" } ?? ""),
            "storage           \(configuration.storage.rawValue), replicas \(configuration.replicas)",
            "ids remembered    \(configuration.duplicateWindow.map(duration) ?? "as the server does by default")",
        ]
    }

    /// The report as one line of JSON.
    static func json(_ report: StreamReport) -> String {
        let configuration = report.configuration
        let object: JSONValue = [
            "stream": .string(report.state.name),
            "messages": .init(report.state.messages),
            "bytes": .init(report.state.bytes),
            "first_sequence": .init(report.state.firstSequence),
            "last_sequence": .init(report.state.lastSequence),
            "first_time": report.firstTime.map { .string("\($0)") } ?? .null,
            "last_time": report.lastTime.map { .string("\($0)") } ?? .null,
            "max_age_seconds": configuration.maximumAge.map { .init($0.components.seconds) } ?? .null,
            "max_messages": configuration.maximumMessages.map { .init($0) } ?? .null,
            "max_bytes": configuration.maximumBytes.map { .init($0) } ?? .null,
            "storage": .string(configuration.storage.rawValue),
            "replicas": .init(configuration.replicas),
            "types": .object(JSONObject(types(report).map { ($0.type, .init($0.count)) })),
            "consumers": .array(
                report.consumers.map { consumer in
                    [
                        "name": .string(consumer.name),
                        "durable": .bool(consumer.isDurable),
                        "filters": .array(consumer.filters.map { .string($0) }),
                        "lag": .init(consumer.pending),
                        "unacknowledged": .init(consumer.unacknowledged),
                        "redelivered": .init(consumer.redelivered),
                    ]
                }
            ),
        ]
        return "\(object)"
    }

    /// Counts by event type, the most frequent first.
    private static func types(_ report: StreamReport) -> [(type: String, count: UInt64)] {
        report.subjects.map { ($0.key.hasPrefix("events.") ? String($0.key.dropFirst(7)) : $0.key, $0.value) }
            .sorted { ($1.1, $0.0) < ($0.1, $1.0) }
            .map { (type: $0.0, count: $0.1) }
    }

    static func bytes(_ count: UInt64) -> String {
        let units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(count)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        guard unit > 0 else { return "\(count) bytes" }
        return "\((value * 10).rounded() / 10) \(units[unit])"
    }

    static func duration(_ duration: Duration) -> String {
        let seconds = duration.components.seconds
        guard seconds > 0 else { return "\(duration)" }
        for (size, name) in [(86_400, "d"), (3_600, "h"), (60, "m")] as [(Int64, String)] where seconds % size == 0 {
            return "\(seconds / size)\(name)"
        }
        return "\(seconds)s"
    }
}
