public import MeshEvents

/// Alerts whose targets are not told for some time.
public struct AlertSilence: Sendable, Hashable {
    /// The name of the rule; empty for all rules.
    public var rule: String
    /// The labels that an alert must have; empty for all alerts of the rule.
    public var labels: [AlertGroup.Label]
    /// Until when, by the server's clock.
    public var until: Timestamp
    /// Who said so; may be empty.
    public var by: String
    /// Why; may be empty.
    public var reason: String

    /// Creates a silence.
    public init(rule: String, labels: [AlertGroup.Label], until: Timestamp, by: String = "", reason: String = "") {
        self.rule = rule
        self.labels = labels
        self.until = until
        self.by = by
        self.reason = reason
    }

    /// The most silences.
    static let most = 1_000

    /// Whether it is about an alert.
    public func covers(rule: String, group: AlertGroup) -> Bool {
        (self.rule.isEmpty || self.rule == rule) && labels.allSatisfy { group[$0.name] == $0.value }
    }
}

extension [AlertSilence] {
    /// Takes in what an event says: a silence, which replaces the present one for the same alerts, or its end.
    mutating func take(_ payload: AlertSilenced, at time: Timestamp) {
        let labels = AlertGroup(payload.group).labels
        removeAll { $0.rule == payload.rule && $0.labels == labels }
        let seconds = Swift.min(Swift.max(payload.forSeconds, 0), 366 * 86_400)
        guard seconds > 0, count < AlertSilence.most else { return }
        append(
            AlertSilence(
                rule: payload.rule,
                labels: labels,
                until: time.adding(.seconds(seconds)),
                by: payload.by.clean(to: AlertGroup.maximumValue),
                reason: payload.reason.clean(to: AlertGroup.maximumValue)
            )
        )
    }

    /// Whether the targets are not told of an alert.
    func silence(_ key: AlertKey, at time: Timestamp) -> Bool {
        contains { $0.until > time && $0.covers(rule: key.rule, group: key.group) }
    }
}
