import ArgumentParser
import MeshAlerts
import MeshEvents
import MeshNotifiers

/// `mesh-events alert check`.
struct AlertCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check a file with rules and targets, and say what it means.",
        usage: "mesh-events alert check [FILE]",
        discussion: """
            Prints each rule as a sentence, then the targets, or each mistake with its line and column. Nothing is sent. \
            The variables of the file (${NAME}) must be set.

            EXIT CODES: 0 when the file is right, 65 when it has mistakes.
            """
    )

    @Argument(help: ArgumentHelp("The file. Default: mesh.yaml.", valueName: "file"))
    var file = ManifestFile.standardPath

    func run() async throws {
        let manifest = try AlertManifest.read(file)
        let output = LineOutput.standard()
        guard !manifest.isEmpty else {
            return try output.write("\(file) says nothing about alerts: it has neither `alerts` nor `notify`")
        }
        for rule in manifest.rules { try output.write(SafeText.escaped(AlertRuleText.sentence(rule))) }
        for target in manifest.targets {
            let rules = manifest.rules.filter { $0.targets.contains(target.name) }.count
            let use = rules == 0 ? "no rule names it" : "\(rules) \(rules == 1 ? "rule" : "rules")"
            try output.write(SafeText.escaped("\(target.name): \(target.notifier) (\(use))"))
            for warning in target.notifier.warnings { Diagnostics.say("target \(target.name): \(warning)") }
        }
        for rule in manifest.rules where rule.targets.isEmpty {
            Diagnostics.say(
                "alert \(rule.name) names no target: it is only stored, and shown by `mesh-events alert list`"
            )
        }
    }
}

/// Says what a rule means.
enum AlertRuleText {
    /// `tool-down (critical): when tool.crashed comes 3 times within 10m, for each tool and node, to phone; over at tool.started`.
    static func sentence(_ rule: AlertRule) -> String {
        let types = list(rule.patterns)
        let condition = rule.filter.isEmpty ? "" : " with \(rule.filter)"
        let cause =
            switch rule.cause {
            case .events(let count, let within) where count > 1:
                "when \(types)\(condition) comes \(count) times within \(AgeFormatter.span(within))"
            case .events: "when \(types)\(condition) comes"
            case .state(let duration): "when \(types)\(condition) says so for \(AgeFormatter.span(duration))"
            case .silence(let duration): "when no \(types)\(condition) comes for \(AgeFormatter.span(duration))"
            }
        var text = "\(rule.name) (\(rule.severity.rawValue)): \(cause), \(grouping(rule))"
        text += rule.targets.isEmpty ? ", to no target" : ", to \(rule.targets.joined(separator: ", "))"
        if let repetition = rule.repetition { text += ", again every \(AgeFormatter.span(repetition))" }
        if rule.quiet != nil { text += ", except in quiet hours" }
        return text + "; " + end(rule)
    }

    private static func list(_ patterns: [EventPattern]) -> String {
        patterns.map { String($0.subject.dropFirst("events.".count)) }.joined(separator: " or ")
    }

    private static func grouping(_ rule: AlertRule) -> String {
        switch (rule.grouping, rule.cause) {
        case (.subject, .silence), (.fields([]), _): "one alert"
        case (.subject, _): "for each tool or node that it is about"
        case (.fields(let fields), _): "for each \(fields.joined(separator: " and "))"
        }
    }

    private static func end(_ rule: AlertRule) -> String {
        if !rule.resolve.isEmpty { return "over at \(list(rule.resolve))" }
        switch rule.cause {
        case .events(_, let within): return "over when none comes for \(AgeFormatter.span(within))"
        case .state: return "over at one that does not say so"
        case .silence: return "over at the next one"
        }
    }
}
