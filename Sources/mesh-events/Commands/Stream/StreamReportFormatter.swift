import MeshEvents
import MeshEventsNATS

/// The reports on a stream and on its archive.
struct StreamReports {
    let stream: StreamReport
    /// `nil` for none.
    let archive: ArchiveReport?
}

extension StreamReport {
    /// How old the oldest event is; `nil` when there is none.
    func reach(_ now: Timestamp) -> Duration? { firstTime.map { now.duration(since: $0) } }
}

/// Writes a stream's report for people and for programs.
enum StreamReportFormatter {
    /// The reports in lines for people.
    static func lines(_ reports: StreamReports, now: Timestamp = .now) -> [String] {
        let report = reports.stream
        let state = report.state
        var lines = [
            "stream            \(SafeText.name(state.name))",
            "events            \(state.messages), \(bytes(state.bytes))",
            "sequences         \(state.firstSequence) to \(state.lastSequence)",
        ]
        if let first = report.firstTime, let last = report.lastTime {
            lines += ["oldest            \(first)", "newest            \(last)", reach(report, now)]
        }
        lines += limits(report.configuration)
        if let archive = reports.archive {
            lines += [""] + self.lines(archive, now)
        } else {
            lines += ["", "archive           none"]
        }
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

    /// The limits of the stream and of its archive in lines for people.
    static func limits(_ reports: StreamReports) -> [String] {
        limits(reports.stream.configuration) + (reports.archive.map(name) ?? []) + (reports.archive.map(limits) ?? [])
    }

    private static func lines(_ archive: ArchiveReport, _ now: Timestamp) -> [String] {
        let state = archive.stream.state
        return name(archive)
            + ["events            \(state.messages), \(bytes(state.bytes))"]
            + (archive.stream.firstTime == nil ? [] : [reach(archive.stream, now)])
            + limits(archive)
    }

    private static func name(_ archive: ArchiveReport) -> [String] {
        let former = archive.isOfPresentStream ? "" : ", of a former stream"
        return ["archive           \(SafeText.name(archive.stream.state.name))\(former)"]
    }

    private static func limits(_ archive: ArchiveReport) -> [String] {
        let limits = archive.limits
        let ofType = limits.maximumMessagesOfType.map { "\($0) events of each type" } ?? "any number of each type"
        let all = limits.maximumMessages.map { ", \($0) in all" } ?? ""
        return ["kept for          \(limits.maximumAge.map(duration) ?? "ever")", "at most           \(ofType)\(all)"]
    }

    /// How far back a stream's events reach.
    private static func reach(_ report: StreamReport, _ now: Timestamp) -> String {
        "reaching back     \(report.reach(now).map(AgeFormatter.span) ?? "–")"
    }

    /// The stream's limits in lines for people.
    private static func limits(_ configuration: PersistentEventBus.Configuration) -> [String] {
        [
            "kept for          \(configuration.maximumAge.map(duration) ?? "ever")",
            "at most           \(configuration.maximumMessages.map { "\($0) events" } ?? "any number of events")"
                + (configuration.maximumBytes.map { ", \(bytes(UInt64($0)))" } ?? ""),
            "storage           \(configuration.storage.rawValue), replicas \(configuration.replicas)",
            "ids remembered    \(configuration.duplicateWindow.map(duration) ?? "as the server does by default")",
        ]
    }

    /// The reports as one line of JSON.
    static func json(_ reports: StreamReports) -> String {
        let report = reports.stream
        let configuration = report.configuration
        let members: [String: JSONValue] = [
            "max_age_seconds": configuration.maximumAge.map { .init($0.components.seconds) } ?? .null,
            "max_messages": configuration.maximumMessages.map { .init($0) } ?? .null,
            "max_bytes": configuration.maximumBytes.map { .init($0) } ?? .null,
            "storage": .string(configuration.storage.rawValue),
            "replicas": .init(configuration.replicas),
            "archive": reports.archive.map(json) ?? .null,
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
        return "\(JSONValue(members.merging(contents(report)) { $1 }))"
    }

    private static func json(_ archive: ArchiveReport) -> JSONValue {
        let limits = archive.limits
        let members: [String: JSONValue] = [
            "present": .bool(archive.isOfPresentStream),
            "max_age_seconds": limits.maximumAge.map { .init($0.components.seconds) } ?? .null,
            "max_messages_per_type": limits.maximumMessagesOfType.map { .init($0) } ?? .null,
            "max_messages": limits.maximumMessages.map { .init($0) } ?? .null,
        ]
        return JSONValue(members.merging(contents(archive.stream)) { $1 })
    }

    /// What any stream holds.
    private static func contents(_ report: StreamReport) -> [String: JSONValue] {
        [
            "stream": .string(report.state.name),
            "messages": .init(report.state.messages),
            "bytes": .init(report.state.bytes),
            "first_sequence": .init(report.state.firstSequence),
            "last_sequence": .init(report.state.lastSequence),
            "first_time": report.firstTime.map { .string("\($0)") } ?? .null,
            "last_time": report.lastTime.map { .string("\($0)") } ?? .null,
            "types": types(report),
        ]
    }

    private static func types(_ report: StreamReport) -> JSONValue {
        .object(JSONObject(types(report).map { ($0.type, .init($0.count)) }))
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
