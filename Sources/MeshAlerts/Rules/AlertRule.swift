public import MeshEvents

/// When an alert fires, when it is over, and who is told.
public struct AlertRule: Sendable, Hashable {
    /// What makes an alert fire.
    public enum Cause: Sendable, Hashable {
        /// So many matching events of a group within this time; each further one within it belongs to the same firing. With
        /// a count of 1 the time only says when the alert is over that nothing resolves.
        case events(count: Int, within: Duration)
        /// Matching events that say so for this long. An event of the rule's types that does not pass the filter says the
        /// contrary.
        case state(for: Duration)
        /// No matching event for this long.
        case silence(Duration)
    }

    /// Which events belong to the same alert.
    public enum Grouping: Sendable, Hashable {
        /// What the event is about: events of tools, the tool and the node; all others, the node. For the absence of
        /// events, one alert.
        case subject
        /// These fields: `node`, `tool`, `type`, or the path of a field of the data, `job.name`. Without any, one alert.
        case fields([String])
    }

    /// The name: letters, digits, `-` and `_`, 1 to 64 bytes; unique among the rules.
    public var name: String
    /// The types of events that count, at least one.
    public var patterns: [EventPattern]
    /// What the events' data has to be.
    public var filter: EventFilter
    /// What makes it fire.
    public var cause: Cause
    /// The events that say that it is over; empty for none.
    public var resolve: [EventPattern]
    /// What the data of those has to be.
    public var resolveFilter: EventFilter
    /// Which events belong to the same alert.
    public var grouping: Grouping
    /// How bad it is.
    public var severity: AlertSeverity
    /// The names of the targets that are told; may be empty.
    public var targets: [String]
    /// After how long it is told again while it fires; `nil` for never.
    public var repetition: Duration?
    /// When the targets are not told until it is over; `nil` for never.
    public var quiet: QuietHours?

    /// Creates a rule.
    public init(
        name: String,
        patterns: [EventPattern],
        filter: EventFilter = EventFilter(),
        cause: Cause = .events(count: 1, within: AlertRule.defaultWindow),
        resolve: [EventPattern] = [],
        resolveFilter: EventFilter = EventFilter(),
        grouping: Grouping = .subject,
        severity: AlertSeverity = .warning,
        targets: [String] = [],
        repetition: Duration? = nil,
        quiet: QuietHours? = nil
    ) {
        self.name = name
        self.patterns = patterns
        self.filter = filter
        self.cause = cause
        self.resolve = resolve
        self.resolveFilter = resolveFilter
        self.grouping = grouping
        self.severity = severity
        self.targets = targets
        self.repetition = repetition
        self.quiet = quiet
    }

    /// How long an alert fires after its last event when nothing else says that it is over: 5 minutes.
    public static let defaultWindow: Duration = .seconds(300)
    /// The most events that a rule may count.
    public static let maximumCount = 1_000

    /// What is wrong with a name; `nil` when it is one.
    public static func problem(inName name: String) -> String? {
        guard (1...64).contains(name.utf8.count) else { return "a name has 1 to 64 bytes" }
        let isValid = name.utf8.allSatisfy { byte in
            byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z")
                || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
                || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
        }
        return isValid ? nil : "a name has letters, digits, '-' and '_'"
    }
}

extension AlertRule {
    /// The group of an event that counts.
    func group(of event: Event) -> AlertGroup {
        AlertGroup(labels(of: event).map { AlertGroup.Label($0.name, $0.value ?? "") })
    }

    /// Whether an event that says that something is over means this group: all that it says of the group's labels has to
    /// be so, and it has to say something.
    func concerns(_ group: AlertGroup, _ event: Event) -> Bool {
        let said = labels(of: event).compactMap { label in label.value.map { AlertGroup.Label(label.name, $0) } }
        return group.labels.isEmpty
            || !said.isEmpty && said.allSatisfy { group[$0.name] == $0.value || group[$0.name] == nil }
    }

    private func labels(of event: Event) -> [(name: String, value: String?)] {
        switch grouping {
        case .subject:
            if case .silence = cause { return [] }
            guard event.type.rawValue.hasPrefix("tool."), let tool = Self.value("tool", of: event) else {
                return [("node", Self.value("node", of: event))]
            }
            return [("tool", tool), ("node", Self.value("node", of: event))]
        case .fields(let fields): return fields.map { ($0, Self.value($0, of: event)) }
        }
    }

    /// The text of a field, without control characters and cut; `nil` when it is absent.
    static func value(_ path: String, of event: Event) -> String? {
        var field: EventData.Field?
        for (number, name) in path.split(separator: ".").enumerated() {
            field = number == 0 ? event.data[String(name)] : field?[String(name)]
            if field == nil { break }
        }
        switch (field, path) {
        case (let field?, _): return (field.string ?? field.json).clean(to: AlertGroup.maximumValue)
        case (nil, "node"): return event.affectedNode.clean(to: AlertGroup.maximumValue)
        case (nil, "type"): return event.type.rawValue.clean(to: AlertGroup.maximumValue)
        case (nil, _): return nil
        }
    }
}
