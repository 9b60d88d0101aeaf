import MeshNotifiers
import MeshSupervision
import Yams

extension AlertManifestReader {
    private static let kinds = ["ntfy", "slack", "discord", "webhook", "alertmanager", "command"]
    /// The keys that every kind has.
    private static let commonKeys = ["window", "limit", "timeout"]
    /// The further keys of each kind.
    private static let ownKeys = [
        "ntfy": ["token", "priority"], "slack": [], "discord": [], "webhook": ["secret"],
        "alertmanager": ["token", "expiry"], "command": ["environment"],
    ]

    /// Reads `notify`.
    mutating func targets(_ node: Node) -> [AlertManifest.Target] {
        if values.isNull(node) { return [] }
        let members = values.members(of: node, "notify", known: nil)
        guard members.count <= AlertManifest.maximumTargets else {
            values.report("\(members.count) targets; there are at most \(AlertManifest.maximumTargets)", at: node)
            return []
        }
        return members.compactMap { target($0.0, $0.1) }
    }

    private mutating func target(_ name: String, _ node: Node) -> AlertManifest.Target? {
        guard (1...64).contains(name.utf8.count), name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            values.report("a target's name has 1 to 64 letters, digits or signs of ASCII, without spaces", at: node)
            return nil
        }
        guard node.mapping != nil else {
            let example = "\(name): {ntfy: \"https://ntfy.sh/topic\"}"
            values.report(
                "target \(name) must be an object, such as \(example), not \(values.kind(of: node))",
                at: node
            )
            return nil
        }
        let given = Set((node.mapping ?? [:]).compactMap { $0.key.scalar?.string })
        let found = Self.kinds.filter { given.contains($0) }
        guard found.count == 1, let kind = found.first else {
            let problem =
                found.isEmpty ? "says nothing of where it is" : "is several: \(found.joined(separator: " and "))"
            values.report("target \(name) \(problem); give one of \(Self.kinds.joined(separator: ", "))", at: node)
            return nil
        }
        var settings = Settings()
        let known = [kind] + Self.commonKeys + (Self.ownKeys[kind] ?? [])
        for (key, value) in values.members(of: node, "target \(name)", known: known) {
            read(key, value, kind, name, &settings)
        }
        guard let notifier = notifier(kind, settings, name, at: node) else { return nil }
        return AlertManifest.Target(
            name: name,
            notifier: notifier,
            window: settings.window,
            mostPerHour: settings.limit
        )
    }

    private struct Settings {
        var address: String?
        var command: [CommandTargetConfiguration.Argument] = []
        var token: String?
        var secret: String?
        var priority: NtfyConfiguration.Priority?
        var expiry: Duration?
        var environment: [String: String] = [:]
        var window: Duration?
        var limit: Int?
        var timeout: Duration?
        var isBroken = false
    }

    private mutating func read(
        _ key: String,
        _ value: Node,
        _ kind: String,
        _ name: String,
        _ settings: inout Settings
    ) {
        let before = values.problems.count + values.omittedProblems
        let what = "\(name).\(key)"
        switch key {
        case "command": settings.command = command(value, what)
        case kind: settings.address = values.expanded(value, what)
        case "token": settings.token = values.expanded(value, what)
        case "secret": settings.secret = values.expanded(value, what)
        case "priority":
            let text = values.text(value, what) ?? ""
            settings.priority = NtfyConfiguration.Priority(text)
            if settings.priority == nil {
                values.report("\(what) must be min, low, default, high or max, not '\(text)'", at: value)
            }
        case "expiry": settings.expiry = values.duration(value, what, in: .seconds(60) ... .seconds(366 * 86_400))
        case "environment":
            for (variable, text) in values.members(of: value, what, known: nil) {
                settings.environment[variable] = values.expanded(text, "\(what).\(variable)")
            }
        case "window": settings.window = values.duration(value, what, in: .zero ... .seconds(86_400))
        case "limit": settings.limit = integer(value, what, in: 1...100_000)
        case "timeout": settings.timeout = values.duration(value, what, in: .milliseconds(100) ... .seconds(600))
        default: break
        }
        if values.problems.count + values.omittedProblems != before { settings.isBroken = true }
    }

    /// The words of a command. What came from variables is confidential: everyone on the machine sees arguments.
    private mutating func command(_ node: Node, _ what: String) -> [CommandTargetConfiguration.Argument] {
        guard let nodes = node.sequence else {
            values.report(
                "\(what) must be a list, such as [notify-send, \"{title}\"], not \(values.kind(of: node))",
                at: node
            )
            return []
        }
        return nodes.compactMap { node in
            let known = values.confidential
            values.confidential = []
            defer { values.confidential.formUnion(known) }
            guard let text = values.expanded(node, "each of \(what)") else { return nil }
            return CommandTargetConfiguration.Argument(text, isConfidential: !values.confidential.isEmpty)
        }
    }

    private mutating func notifier(
        _ kind: String,
        _ settings: Settings,
        _ name: String,
        at node: Node
    ) -> NotifierConfiguration? {
        guard !settings.isBroken else { return nil }
        let timeout = settings.timeout ?? .seconds(15)
        do throws(NotifierConfigurationError) {
            let address = settings.address ?? ""
            switch kind {
            case "ntfy":
                return .ntfy(
                    try NtfyConfiguration(
                        url: address,
                        token: settings.token,
                        priority: settings.priority,
                        timeout: timeout
                    )
                )
            case "slack": return .slack(try SlackConfiguration(url: address, timeout: timeout))
            case "discord": return .discord(try DiscordConfiguration(url: address, timeout: timeout))
            case "webhook":
                return .webhook(try WebhookConfiguration(url: address, secret: settings.secret, timeout: timeout))
            case "alertmanager":
                return .alertmanager(
                    try AlertmanagerConfiguration(
                        url: address,
                        token: settings.token,
                        expiry: settings.expiry ?? .seconds(7 * 86_400),
                        timeout: timeout
                    )
                )
            default:
                return .command(
                    try CommandTargetConfiguration(
                        settings.command,
                        environment: settings.environment,
                        timeout: timeout
                    )
                )
            }
        } catch {
            values.report("target \(name): \(error.message)", at: node)
            return nil
        }
    }
}
