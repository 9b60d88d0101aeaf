import ArgumentParser
import Foundation
import MeshAlerts
import MeshEvents
import MeshEventsNATS

/// `mesh-events alert silence`.
struct AlertSilenceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "silence",
        abstract: "Have no target told of some alerts for some time.",
        usage: """
            mesh-events alert silence NAME|LABEL=VALUE ... [--for DURATION] [--reason TEXT] [--node NAME] [--sign-key FILE]
            mesh-events alert silence NAME|LABEL=VALUE ... --end
            """,
        discussion: """
            NAME is the name of a rule; LABEL=VALUE what an alert is about, tool=whisper or node=pi: with several, an alert \
            must have all of them. The alerts go on, and are stored and listed; what still fires at the end is told then.

            Emits alert.silenced, which the process that watches takes in. Another silence of the same alerts replaces the present \
            one; --end ends it.

            EXAMPLES
              mesh-events alert silence node-down node=pi --for 2h --reason 'new disk'
              mesh-events alert silence tool=whisper --for 1d
              mesh-events alert silence node-down node=pi --end
            """
    )

    /// The longest silence.
    private static let longest: Duration = .seconds(366 * 86_400)

    @Argument(help: ArgumentHelp("The rule's name, or a label with its value.", valueName: "name|label=value"))
    var selection: [String]

    @Option(name: .customLong("for"), help: ArgumentHelp("How long it lasts. Default: 1h.", valueName: "duration"))
    var duration: String?

    @Option(help: ArgumentHelp("Why, for those who read it.", valueName: "text"))
    var reason: String?

    @Flag(help: "End the silence now.")
    var end = false

    @OptionGroup var emission: AlertEmissionOptions

    func run() async throws {
        let selection = try AlertSelection(selection)
        if end, duration != nil || reason != nil {
            throw CommandFailure(.usage, "--end ends the silence; leave out --for and --reason")
        }
        let length = try DurationArgument.option("--for", duration ?? "1h")
        guard length <= Self.longest else {
            throw CommandFailure(.usage, "--for is at most 366d; take the rule out instead")
        }
        let payload = AlertSilenced(
            rule: selection.rule,
            group: selection.group,
            forSeconds: end ? 0 : length / .seconds(1),
            by: ProcessInfo.processInfo.environment["USER"] ?? "",
            reason: reason ?? ""
        )
        let text =
            end
            ? "\(selection) is no longer silenced"
            : "\(selection) is silenced until \(LocalTime().short(Timestamp.now.adding(length), now: .now))"
        try await emission.emit("mesh-events alert silence") { _ in [(payload, text)] }
    }
}

/// `mesh-events alert ack`.
struct AlertAcknowledgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ack",
        abstract: "Say that alerts are being taken care of: they are not told again.",
        usage: "mesh-events alert ack NAME|LABEL=VALUE ... [--reason TEXT] [--node NAME] [--sign-key FILE]",
        discussion: """
            Acknowledges the alerts that fire now: until they are over, no target is told of them again. Their end is told.

            Emits alert.silenced with the id of each.

            EXAMPLES
              mesh-events alert ack node-down
              mesh-events alert ack tool=whisper --reason 'restarting it'

            EXIT CODES: as for all commands; 69 also when no such alert fires.
            """
    )

    @Argument(help: ArgumentHelp("The rule's name, or a label with its value.", valueName: "name|label=value"))
    var selection: [String]

    @Option(help: ArgumentHelp("Why, for those who read it.", valueName: "text"))
    var reason: String?

    @OptionGroup var emission: AlertEmissionOptions

    func run() async throws {
        let selection = try AlertSelection(selection)
        let by = ProcessInfo.processInfo.environment["USER"] ?? ""
        try await emission.emit("mesh-events alert ack") { store in
            let overview = try await AlertReading.overview(store, nil)
            let found = overview.firing.filter { selection.covers($0.alert) && !$0.isAcknowledged }
            guard !found.isEmpty else {
                throw CommandFailure(.unavailable, "no alert of \(selection) fires that is not acknowledged")
            }
            return found.map { firing in
                let alert = firing.alert
                let about = alert.group.labels.isEmpty ? alert.rule : "\(alert.rule): \(alert.group)"
                let payload = AlertSilenced(
                    rule: alert.rule,
                    group: alert.group.data,
                    acknowledgedID: alert.id,
                    by: by,
                    reason: reason ?? ""
                )
                return (
                    payload,
                    "\(SafeText.escaped(about, columns: SafeText.longestName)) is acknowledged until it is over"
                )
            }
        }
    }
}

/// Which alerts a command is about.
struct AlertSelection: CustomStringConvertible {
    /// The name of the rule; empty for all.
    var rule = ""
    /// The labels that an alert must have.
    var labels: [AlertGroup.Label] = []

    /// - Throws: `CommandFailure`, usage.
    init(_ arguments: [String]) throws {
        for argument in arguments {
            guard let equals = argument.firstIndex(of: "=") else {
                if let problem = AlertRule.problem(inName: argument) {
                    throw CommandFailure(
                        .usage,
                        "\(argument.debugDescription) is neither a rule's name (\(problem)) nor LABEL=VALUE, such as node=pi"
                    )
                }
                guard rule.isEmpty else { throw CommandFailure(.usage, "give one rule: \(rule) or \(argument)") }
                rule = argument
                continue
            }
            let name = String(argument[..<equals])
            guard !name.isEmpty else {
                throw CommandFailure(
                    .usage,
                    "\(argument.debugDescription) has no label; write LABEL=VALUE, such as node=pi"
                )
            }
            labels.append(AlertGroup.Label(name, String(argument[argument.index(after: equals)...])))
        }
    }

    /// The labels as data.
    var group: EventData { AlertGroup(labels).data }

    /// Whether an alert is meant.
    func covers(_ alert: Alert) -> Bool {
        (rule.isEmpty || rule == alert.rule) && labels.allSatisfy { alert.group[$0.name] == $0.value }
    }

    var description: String {
        let parts = (rule.isEmpty ? [] : [rule]) + labels.map { "\($0.name)=\($0.value)" }
        return SafeText.escaped(parts.joined(separator: " "), columns: SafeText.longestName)
    }
}

/// The options of commands that emit events about alerts.
struct AlertEmissionOptions: ParsableArguments {
    @OptionGroup(title: "Emitter") var node: NodeOptions
    @OptionGroup(title: "Emitter") var signing: SigningOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    /// Emits events, and prints a line for each when it is stored.
    func emit(
        _ name: String,
        _ payloads: (JetStreamStore) async throws -> [(AlertSilenced, String)]
    ) async throws {
        let emitter = try node.name()
        let configuration = try signing.busConfiguration()
        let transport = try await connection.connect(name: name)
        for (payload, text) in try await payloads(try connection.store(transport)) {
            let event = Event(.alertSilenced, node: emitter, data: try payload.eventData())
            try await AcknowledgedEmission(connection, transport, configuration).emit(event, json: false) { _ in text }
        }
        await transport.close()
    }
}
