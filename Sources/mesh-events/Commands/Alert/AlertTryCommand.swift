import ArgumentParser
import MeshAlerts
import MeshEvents
import MeshEventsNATS

/// `mesh-events alert try`.
struct AlertTryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "try",
        abstract: "Run rules over the stored history, and print what would have fired when.",
        usage: "mesh-events alert try [--config FILE] [--since WHEN] [--trust FILE] [--json]",
        discussion: """
            Reads the stored events from WHEN on, those of the archive too, and prints each report that the rules would \
            have made: when, whether it fired or was over, the rule, what it is about, how many events counted, and why. \
            Nothing is emitted, and no target is told; times are those of the server's clock.

            WHEN is how long ago (90s, 10m, 2h30m, 7d) or a time in RFC 3339. What is missing counts as missing from then on.

            EXAMPLES
              mesh-events alert try --config alerts.yaml --since 7d
              mesh-events alert try --since 1d --json | jq -r .rule | sort | uniq -c
            """
    )

    @Option(help: ArgumentHelp("From when on.", valueName: "when"))
    var since = "1d"

    @Flag(help: "Print each report as a line of JSON.")
    var json = false

    @OptionGroup var file: AlertFileOptions
    @OptionGroup(title: "Signatures") var trust: TrustFileOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let manifest = try file.manifest()
        let verification = try trust.verification()
        let start = try TimeBound.parse(since, option: "--since")
        let transport = try await connection.connect(name: "mesh-events alert try")
        let store = try connection.store(transport)
        let history = EventHistory(store: store, verification: verification, logger: .disabled)
        let output = LineOutput.standard()
        var trial = AlertTrial(rules: manifest.rules, from: start)
        var counts: [String: Int] = [:]
        func show(_ alerts: [Alert]) throws {
            for alert in alerts {
                if alert.status == .firing, alert.repetition == 0 { counts[alert.rule, default: 0] += 1 }
                try output.write(json ? AlertLines.json(alert) : AlertLines.row(alert))
            }
        }
        let read = try await StreamAbsence(connection, transport).explained { () async throws -> Int in
            var read = 0
            for try await stored in history.events(since: start) {
                read += 1
                try show(trial.take(stored))
            }
            return read
        }
        try show(trial.finish(at: .now))
        await transport.close()
        let summary = manifest.rules.map { "\($0.name) \(counts[$0.name] ?? 0)" }.joined(separator: ", ")
        Diagnostics.say("\(read) events since \(LocalTime().short(start, now: .now)); fired: \(summary)")
    }
}

/// Writes reports of alerts.
enum AlertLines {
    /// `2026-11-24 10:04:34.123  fires  critical  tool-down  whisper on pi  3 times  exit status 1`.
    static func row(_ alert: Alert) -> String {
        let what = alert.status == .resolved ? "over " : alert.repetition > 0 ? "still" : "fires"
        var parts = [
            LocalTime().text(alert.at), what, TextWidth.padded(alert.severity.rawValue, to: 8),
            SafeText.name(alert.rule),
        ]
        parts.append(SafeText.escaped(alert.group.description, columns: SafeText.longestName))
        if alert.count > 1 { parts.append("\(alert.count) times") }
        if !alert.reason.isEmpty { parts.append(SafeText.escaped(alert.reason, columns: 500)) }
        return parts.filter { !$0.isEmpty }.joined(separator: "  ")
    }

    /// A line of JSON.
    static func json(_ alert: Alert, _ more: [(String, JSONValue)] = []) -> String {
        var members: [(String, JSONValue)] = [
            ("status", .string(alert.status.rawValue)), ("at", .string(alert.at.description)),
            ("rule", .string(alert.rule)),
            ("group", JSONValue(alert.group.data)),
            ("severity", .string(alert.severity.rawValue)), ("since", .string(alert.since.description)),
            ("count", JSONValue(alert.count)), ("sequences", .array(alert.sequences.map { JSONValue($0) })),
            ("reason", .string(alert.reason)), ("repetition", JSONValue(alert.repetition)), ("id", .string(alert.id)),
        ]
        members += more
        return Terminal.output.safe(json: EventData(JSONObject(members)).json)
    }
}
