public import MeshEvents

/// What is reported of an alert: that it fired, that it still fires, or that it is over.
public struct Alert: Sendable, Hashable {
    /// What is reported.
    public enum Status: String, Sendable, Hashable {
        /// It began to fire, or it still does.
        case firing
        /// It is over.
        case resolved
    }

    /// The id of this firing: reports of the same firing have the same, the next firing of the rule has another. Letters,
    /// digits and `-`, at most 64.
    public var id: String
    /// The name of the rule.
    public var rule: String
    /// What it is about.
    public var group: AlertGroup
    /// What is reported.
    public var status: Status
    /// How bad it is.
    public var severity: AlertSeverity
    /// Since when it fires, by the server's clock.
    public var since: Timestamp
    /// When what is reported happened, by the server's clock: for a resolved alert, its end.
    public var at: Timestamp
    /// How many events counted towards it.
    public var count: Int
    /// The sequences of the newest events that counted, oldest first, at most ten.
    public var sequences: [UInt64]
    /// What happened, as far as the newest event says: the reason of a crash, for example. It is another program's text,
    /// without control characters and cut to 500 characters; empty when there is none.
    public var reason: String
    /// Which report of the firing this is: 0 for the first, and one more for each time that it is told again.
    public var repetition: Int

    /// Creates a report.
    public init(
        id: String,
        rule: String,
        group: AlertGroup,
        status: Status,
        severity: AlertSeverity,
        since: Timestamp,
        at: Timestamp,
        count: Int,
        sequences: [UInt64],
        reason: String = "",
        repetition: Int = 0
    ) {
        self.id = id
        self.rule = rule
        self.group = group
        self.status = status
        self.severity = severity
        self.since = since
        self.at = at
        self.count = count
        self.sequences = sequences
        self.reason = reason
        self.repetition = repetition
    }
}
