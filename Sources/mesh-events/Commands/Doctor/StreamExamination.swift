import MeshEvents
import MeshEventsNATS

/// What is found about the streams that keep the events. A value.
struct StreamExamination: Sendable {
    var reports: StreamReports
    /// Why there is no archive; `nil` when there is one, or could be.
    var hindrance: String?
    /// What ``StreamAdvice`` says.
    var advice: [String]
    /// Whether the stream sends no acknowledgements.
    var acknowledgesNothing: Bool
    /// The server's time.
    var now: Timestamp

    var findings: [Finding] {
        [stream(reports.stream)] + troubles(reports.stream) + [archive] + advice.map { Finding("limits", .advice, $0) }
    }

    /// Why a stream could not be looked at.
    static func finding(about error: MeshEventsError, of name: String) -> Finding {
        switch error.code {
        case .streamNotFound, .persistenceUnavailable:
            Finding(
                "stream",
                .failure,
                "there is no stream \(SafeText.name(name)): nothing is kept",
                cure: "`mesh-events stream create` creates it, and `mesh-events serve` too"
            )
        case .permissionDenied: Finding("stream", .advice, "this login may not see all of it: \(error.message)")
        default: Finding("stream", .failure, error.message)
        }
    }

    private func stream(_ report: StreamReport) -> Finding {
        let configuration = report.configuration
        let age = configuration.maximumAge.map { "for \(AgeFormatter.span($0))" } ?? "for ever"
        let count = configuration.maximumMessages.map { ", at most \($0) events" } ?? ""
        let reach = report.reach(now).map { "; the oldest is \(AgeFormatter.span($0)) old" } ?? ""
        return Finding(
            "stream",
            .fine,
            "\(SafeText.name(report.state.name)) keeps events \(age)\(count); it has \(report.state.messages)\(reach)"
        )
    }

    private func troubles(_ report: StreamReport) -> [Finding] {
        var findings: [Finding] = []
        if acknowledgesNothing {
            findings.append(
                Finding(
                    "stream",
                    .failure,
                    "it sends no acknowledgements (no_ack): whether an event is stored cannot be known",
                    cure: "`nats stream edit \(SafeText.name(report.state.name)) --ack`"
                )
            )
        }
        if report.configuration.storage == .memory {
            findings.append(
                Finding(
                    "stream",
                    .advice,
                    "it is in memory: all events are lost when its server ends",
                    cure: "make it anew with file storage"
                )
            )
        }
        let lagging = report.consumers.filter { $0.isDurable && $0.pending > 1_000 }
        if let worst = lagging.max(by: { $0.pending < $1.pending }) {
            findings.append(
                Finding(
                    "durables",
                    .advice,
                    "\(SafeText.name(worst.name)) is \(worst.pending) events behind"
                        + (lagging.count > 1 ? ", and \(lagging.count - 1) more are behind" : ""),
                    cure: "start its handler (`mesh-events on … --durable`), or `mesh-events stream forget NAME --yes`"
                )
            )
        }
        return findings
    }

    private var archive: Finding {
        guard let archive = reports.archive else {
            return Finding(
                "archive",
                .advice,
                hindrance ?? "there is none: crashes are kept only as long as the stream keeps health events",
                cure: hindrance == nil ? "`mesh-events stream update --keep 7d` creates one" : nil
            )
        }
        guard archive.isOfPresentStream else {
            return Finding(
                "archive",
                .advice,
                "it is that of a former stream",
                cure: "`mesh-events stream create` creates one of the present stream"
            )
        }
        let age = archive.limits.maximumAge.map { "for \(AgeFormatter.span($0))" } ?? "for ever"
        let reach = archive.stream.reach(now).map { "; the oldest is \(AgeFormatter.span($0)) old" } ?? ""
        return Finding("archive", .fine, "it keeps events \(age)\(reach)")
    }
}
