import ArgumentParser
import MeshAlerts
import MeshEvents
import MeshEventsNATS
import MeshMonitoring

/// `mesh-events alert list`.
struct AlertListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the alerts that fire now.",
        usage: "mesh-events alert list [--trust FILE] [--json]",
        discussion: """
            The worst come first. Below them are the silences and the targets that take nothing, if there are any, and a line \
            when no process watches. `mesh-events list 'alert.*'` shows what fired and was over before.

            With --json each alert is a line: status, at, rule, group, severity, since, count, sequences, reason, repetition, \
            id, acknowledged and silenced_until.
            """
    )

    @Flag(help: "Print each alert as a line of JSON.")
    var json = false

    @OptionGroup(title: "Signatures") var trust: TrustFileOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let overview = try await AlertReading(trust, connection).overview("mesh-events alert list")
        let terminal = Terminal.output
        var output = LineFile(LineOutput.standard())
        if json {
            for firing in overview.firing { try output.write(AlertReading.json(firing)) }
            return try output.flush()
        }
        if overview.firing.isEmpty {
            try output.write(
                overview.position == nil ? "nothing fires: no process watches the alerts" : "nothing fires"
            )
        } else {
            let table = AlertReading.table(overview.firing, now: .now)
            for line in table.lines(isColored: terminal.usesColor(), width: terminal.width) { try output.write(line) }
        }
        var sightings = LeaseSightings()
        let alerts = AlertsAtMoment(overview, sightings.take(overview.lease))
        if let unwatched = alerts.unwatched(LocalTime(), now: .now) { try output.write(unwatched) }
        for line in AlertReading.notes(overview, now: .now) { try output.write(line) }
        try output.flush()
    }
}

/// `mesh-events alert show`.
struct AlertShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show all that is known of alerts that fire.",
        usage: "mesh-events alert show NAME|LABEL=VALUE ... [--trust FILE]",
        discussion: """
            NAME is the name of a rule, LABEL=VALUE what an alert is about: tool=whisper, node=pi.

            EXAMPLES
              mesh-events alert show tool-down
              mesh-events alert show node=pi

            EXIT CODES: as for all commands; 69 also when no such alert fires.
            """
    )

    @Argument(help: ArgumentHelp("The rule's name, or a label with its value.", valueName: "name|label=value"))
    var selection: [String]

    @OptionGroup(title: "Signatures") var trust: TrustFileOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let selection = try AlertSelection(selection)
        let overview = try await AlertReading(trust, connection).overview("mesh-events alert show")
        let found = overview.firing.filter { selection.covers($0.alert) }
        guard !found.isEmpty else { throw CommandFailure(.unavailable, "no alert of \(selection) fires") }
        let terminal = Terminal.output
        var output = LineFile(LineOutput.standard())
        for (number, firing) in found.enumerated() {
            if number > 0 { try output.write("") }
            for line in AlertReading.facts(firing, now: .now).lines(
                isColored: terminal.usesColor(),
                width: terminal.width
            ) {
                try output.write(line)
            }
        }
        try output.flush()
    }
}

/// Reads and shows what fires now.
struct AlertReading {
    /// How long reading is tried again.
    private static let patience: Duration = .seconds(20)

    private let trust: TrustFileOptions
    private let connection: ConnectionOptions

    init(_ trust: TrustFileOptions, _ connection: ConnectionOptions) {
        self.trust = trust
        self.connection = connection
    }

    /// What fires now.
    func overview(_ name: String) async throws -> AlertOverview {
        let verification = try trust.verification()
        let transport = try await connection.connect(name: name)
        let store = try connection.store(transport)
        let overview = try await Self.overview(store, verification)
        await transport.close()
        return overview
    }

    /// What fires now; nothing while no process has watched yet.
    static func overview(
        _ store: JetStreamStore,
        _ verification: SignatureVerification?
    ) async throws(MeshEventsError) -> AlertOverview {
        let end = ContinuousClock.now + patience
        while true {
            do throws(MeshEventsError) {
                return try await AlertOverview.load(
                    from: JetStreamStateStore(beside: store),
                    store: store,
                    verification: verification
                )
            } catch {
                // A link that was cut for a moment.
                guard error.isRetriable, .now < end, !Task.isCancelled else { throw error }
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    static func json(_ firing: AlertOverview.Firing) -> String {
        AlertLines.json(
            firing.alert,
            [
                ("acknowledged", .bool(firing.isAcknowledged)),
                ("silenced_until", firing.silence.map { .string($0.until.description) } ?? .null),
            ]
        )
    }

    /// The process that watches, with its last sign of life when it shows none any more.
    static func json(_ watcher: AlertOverview.Watcher?, isLost: Bool) -> JSONValue {
        guard let watcher else { return .null }
        return ["node": .string(watcher.node), "lost_since": isLost ? .string(watcher.lastSeen.description) : .null]
    }

    static func table(_ alerts: [AlertOverview.Firing], now: Timestamp) -> TextTable {
        var table = TextTable(["ALERT", "ABOUT", "SEVERITY", "SINCE", "COUNT", "REASON"], shrinking: [0, 1])
        for firing in alerts {
            let alert = firing.alert
            let note = firing.isAcknowledged ? "acknowledged" : firing.silence == nil ? nil : "silenced"
            table.add([
                .name(SafeText.name(alert.rule), firing.silence == nil && !firing.isAcknowledged ? .red : .dim),
                .name(alert.group.description.isEmpty ? "-" : alert.group.description, .cyan),
                .init(alert.severity.rawValue, Style(of: alert.severity)),
                .init(AgeFormatter.text(alert.since, now: now)),
                .init("\(alert.count)"),
                .init([note.map { "(\($0))" }, alert.reason].compactMap(\.self).joined(separator: " ")),
            ])
        }
        return table
    }

    /// What is silenced, and which targets take nothing.
    static func notes(_ overview: AlertOverview, now: Timestamp) -> [String] {
        let time = LocalTime()
        let silences = overview.silences.map { silence in
            let labels = silence.labels.map { "\($0.name)=\($0.value)" }
            let what = ([silence.rule] + labels).filter { !$0.isEmpty }.joined(separator: " ")
            let who = [silence.by.isEmpty ? nil : "by \(silence.by)", silence.reason.isEmpty ? nil : silence.reason]
            let note = who.compactMap(\.self).joined(separator: ": ")
            return "silenced until \(time.short(silence.until, now: now)): \(what.isEmpty ? "all alerts" : what)"
                + (note.isEmpty ? "" : " (\(note))")
        }
        let targets = overview.failingTargets.map {
            "target \($0.name) takes nothing since \(time.short($0.since, now: now))"
        }
        return (silences + targets).map { SafeText.escaped($0) }
    }

    static func facts(_ firing: AlertOverview.Firing, now: Timestamp) -> FactTable {
        let (alert, time) = (firing.alert, LocalTime())
        var table = FactTable()
        table.add("alert", alert.rule, .red)
        table.add("about", alert.group.labels.map { "\($0.name)=\($0.value)" }.joined(separator: " "), .cyan)
        table.add("severity", alert.severity.rawValue, Style(of: alert.severity))
        table.add("since", "\(time.text(alert.since)) (\(AgeFormatter.text(alert.since, now: now)))")
        table.add("events", "\(alert.count)")
        table.add("newest", alert.sequences.map(String.init).joined(separator: ", "))
        table.add("reason", alert.reason)
        table.add("told again", alert.repetition > 0 ? "\(alert.repetition) times" : nil)
        table.add("acknowledged", firing.isAcknowledged ? "yes, until it is over" : nil)
        table.add("silenced", firing.silence.map { "until \(time.short($0.until, now: now)) \($0.reason)" })
        table.add("id", alert.id, .dim)
        return table
    }
}

extension Style {
    init(of severity: AlertSeverity) {
        switch severity {
        case .info: self = .plain
        case .warning: self = .yellow
        case .critical: self = .red
        }
    }
}
