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

    /// Whether it is about an alert.
    public func covers(rule: String, group: AlertGroup) -> Bool {
        (self.rule.isEmpty || self.rule == rule) && labels.allSatisfy { group[$0.name] == $0.value }
    }
}
