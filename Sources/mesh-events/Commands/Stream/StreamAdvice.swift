import MeshEvents
import MeshEventsNATS

/// Says which limits drop events that are younger than a day, and which command changes that.
enum StreamAdvice {
    private static let day: Duration = .seconds(86_400)
    /// From this share of a limit on, it counts as reached.
    private static let fullness = 0.9
    /// The type that is too frequent to be kept for long.
    private static let health = EventType.nodeHealth.subject

    /// The lines, one for each limit.
    static func advice(
        on reports: StreamReports,
        of store: JetStreamStore,
        now: Timestamp = .now
    ) async throws -> [String] {
        guard let archive = reports.archive, archive.isOfPresentStream else {
            let hindrance = await store.archiveHindrance
            return [absence(reports), limit(of: reports.stream, hindrance, now)].compactMap(\.self)
        }
        var lines: [String] = []
        for (subject, count) in frequent(in: archive) {
            guard let oldest = try await store.oldestTime(of: subject, in: archive), now.duration(since: oldest) < day
            else { continue }
            let type = subject.hasPrefix("events.") ? String(subject.dropFirst(7)) : subject
            lines.append(
                "of \(SafeText.name(type)) only the last \(AgeFormatter.span(now.duration(since: oldest))) are "
                    + "kept: the archive's limit is \(archive.limits.maximumMessagesOfType ?? 0) events of each type; "
                    + "`mesh-events stream update --keep-per-type \(count.clampedProduct(10))` keeps more"
            )
        }
        if isFull(archive.stream.state.messages, of: archive.limits.maximumMessages),
            let reach = archive.stream.reach(now), reach < day
        {
            lines.append(
                "the archive keeps only the last \(AgeFormatter.span(reach)): its limit is "
                    + "\(archive.limits.maximumMessages ?? 0) events in all; `mesh-events stream update --keep 30d` keeps more"
            )
        }
        return lines
    }

    private static func absence(_ reports: StreamReports) -> String? {
        guard let archive = reports.archive else { return nil }
        let name = SafeText.name(archive.stream.state.name)
        return
            "\(name) is the archive of a former stream, which was deleted: `mesh-events stream create` creates one of "
            + "the present stream, and `mesh-events list --stream \(name)` shows the former events"
    }

    /// The limit of a stream without an archive.
    private static func limit(of stream: StreamReport, _ hindrance: String?, _ now: Timestamp) -> String? {
        let limits = stream.configuration
        let isFull =
            isFull(stream.state.messages, of: limits.maximumMessages)
            || isFull(stream.state.bytes, of: limits.maximumBytes)
        guard isFull, let reach = stream.reach(now), reach < day else { return nil }
        let cure =
            hindrance.map {
                "\($0). Or `mesh-events stream update --max-messages 1000000` keeps more, but Go nodes can then no longer "
                    + "open the stream"
            } ?? "`mesh-events stream update --keep 7d` creates one, which Go nodes do not notice"
        return
            "only the last \(AgeFormatter.span(reach)) are kept, since the stream's limit is reached and there is "
            + "no archive; \(cure)"
    }

    /// The subjects that have reached the limit of events of a type, except health.
    private static func frequent(in archive: ArchiveReport) -> [(subject: String, count: Int)] {
        archive.stream.subjects.filter {
            $0.key != health && isFull($0.value, of: archive.limits.maximumMessagesOfType)
        }
        .map { (subject: $0.key, count: Int(clamping: $0.value)) }
        .sorted { $0.subject < $1.subject }
    }

    private static func isFull(_ count: UInt64, of limit: Int?) -> Bool {
        guard let limit else { return false }
        return Double(count) >= Double(limit) * fullness
    }
}

extension Int {
    /// The product; the largest number when it is larger.
    func clampedProduct(_ factor: Int) -> Int {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? .max : product
    }
}
