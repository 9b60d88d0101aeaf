/// What `alert.fired` and `alert.resolved` say of an alert.
public struct AlertDescription: Sendable, Hashable {
    /// The id of the firing: all events about it have the same.
    public var id: String
    /// The name of the rule.
    public var rule: String
    /// What the alert is about: an object with a text for each label, `{"tool":"whisper","node":"pi"}`.
    public var group: EventData
    /// `info`, `warning` or `critical`.
    public var severity: String
    /// Since when it fires, by the server's clock.
    public var since: Timestamp
    /// How many events counted towards it.
    public var count: Int
    /// The sequences of the newest events that counted, oldest first, at most ten.
    public var sequences: [UInt64]
    /// What happened, as far as the newest event says; may be empty.
    public var reason: String

    /// Creates a description.
    public init(
        id: String,
        rule: String,
        group: EventData,
        severity: String,
        since: Timestamp,
        count: Int,
        sequences: [UInt64],
        reason: String
    ) {
        self.id = id
        self.rule = rule
        self.group = group
        self.severity = severity
        self.since = since
        self.count = count
        self.sequences = sequences
        self.reason = reason
    }

    fileprivate init(_ data: EventData) throws(MeshEventsError) {
        id = try data.string("id")
        rule = try data.string("rule")
        group = try data.object("group")
        severity = try data.string("severity")
        since = try data.time("since") ?? .epoch
        count = try data.integer("count")
        sequences = try data.sequences("sequences")
        reason = try data.string("reason")
    }

    /// Writes the members in the order of their names, with those that only one kind of event has.
    fileprivate func write(
        to data: inout EventDataWriter,
        isExpired: Bool? = nil,
        repetition: Int? = nil,
        isSilenced: Bool
    ) {
        data.write("count", count)
        if let isExpired { data.write("expired", isExpired) }
        data.write("group", group)
        data.write("id", id)
        data.write("reason", reason)
        if let repetition { data.write("repetition", repetition) }
        data.write("rule", rule)
        data.write("sequences", .array(sequences.map { JSONValue($0) }))
        data.write("severity", severity)
        data.write("silenced", isSilenced)
        data.write("since", since)
    }
}

/// An alert fires, or still does.
public struct AlertFired: EventPayload, Hashable {
    /// `alert.fired`.
    public static var eventType: EventType { .alertFired }

    /// The alert.
    public var alert: AlertDescription
    /// Which report of this firing it is: 0 for the first, and one more for each time that it is told again.
    public var repetition: Int
    /// Whether it is silenced, so that no target is told.
    public var isSilenced: Bool

    /// Creates the payload.
    public init(alert: AlertDescription, repetition: Int = 0, isSilenced: Bool = false) {
        self.alert = alert
        self.repetition = repetition
        self.isSilenced = isSilenced
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        alert = try AlertDescription(eventData)
        repetition = try eventData.integer("repetition")
        isSilenced = try eventData.boolean("silenced")
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        alert.write(to: &data, repetition: repetition, isSilenced: isSilenced)
    }
}

/// An alert is over.
public struct AlertResolved: EventPayload, Hashable {
    /// `alert.resolved`.
    public static var eventType: EventType { .alertResolved }

    /// The alert.
    public var alert: AlertDescription
    /// When it was over, by the server's clock.
    public var at: Timestamp
    /// Whether only no further event came for some time: nothing said that it is over.
    public var isExpired: Bool
    /// Whether it is silenced, so that no target is told.
    public var isSilenced: Bool

    /// Creates the payload.
    public init(alert: AlertDescription, at: Timestamp, isExpired: Bool = false, isSilenced: Bool = false) {
        self.alert = alert
        self.at = at
        self.isExpired = isExpired
        self.isSilenced = isSilenced
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        alert = try AlertDescription(eventData)
        at = try eventData.time("at") ?? .epoch
        isExpired = try eventData.boolean("expired")
        isSilenced = try eventData.boolean("silenced")
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("at", at)
        alert.write(to: &data, isExpired: isExpired, isSilenced: isSilenced)
    }
}

/// The targets of alerts are not told for some time, or again. A person says so.
public struct AlertSilenced: EventPayload, Hashable {
    /// `alert.silenced`.
    public static var eventType: EventType { .alertSilenced }

    /// The name of the rule; empty for all rules.
    public var rule: String
    /// The labels that an alert must have; empty for all alerts of the rule.
    public var group: EventData
    /// How long it lasts from the event on, in seconds; 0 ends what was said before with the same rule, group and id.
    public var forSeconds: Double
    /// The id of the firing that was acknowledged: it is silent until it is over, however long that takes; `nil` for a
    /// silence of some time.
    public var acknowledgedID: String?
    /// Who says so; may be empty.
    public var by: String
    /// Why; may be empty.
    public var reason: String

    /// Creates the payload.
    public init(
        rule: String = "",
        group: EventData = .empty,
        forSeconds: Double = 0,
        acknowledgedID: String? = nil,
        by: String = "",
        reason: String = ""
    ) {
        self.rule = rule
        self.group = group
        self.forSeconds = forSeconds
        self.acknowledgedID = acknowledgedID
        self.by = by
        self.reason = reason
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        rule = try eventData.string("rule")
        group = try eventData.object("group")
        forSeconds = try eventData.number("for_s")
        acknowledgedID = try eventData.optionalString("id")
        by = try eventData.string("by")
        reason = try eventData.string("reason")
    }

    /// Writes the payload; ``acknowledgedID`` only when there is one.
    public func write(to data: inout EventDataWriter) {
        data.write("by", by)
        data.write("for_s", forSeconds)
        data.write("group", group)
        if let acknowledgedID { data.write("id", acknowledgedID) }
        data.write("reason", reason)
        data.write("rule", rule)
    }
}

/// A target of alerts does not take what it is sent.
public struct AlertUndelivered: EventPayload, Hashable {
    /// `alert.undelivered`.
    public static var eventType: EventType { .alertUndelivered }

    /// The name of the target.
    public var target: String
    /// Why; it holds no secret of the target.
    public var reason: String
    /// How many alerts wait for it, those included that were given up.
    public var waiting: Int
    /// How many alerts were given up because the target refused them for what they are.
    public var givenUp: Int
    /// Since when it takes nothing, by the server's clock.
    public var since: Timestamp

    /// Creates the payload.
    public init(target: String, reason: String, waiting: Int, givenUp: Int, since: Timestamp) {
        self.target = target
        self.reason = reason
        self.waiting = waiting
        self.givenUp = givenUp
        self.since = since
    }

    /// Reads the payload; what is missing reads as empty.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind.
    public init(eventData: EventData) throws(MeshEventsError) {
        target = try eventData.string("target")
        reason = try eventData.string("reason")
        waiting = try eventData.integer("waiting")
        givenUp = try eventData.integer("given_up")
        since = try eventData.time("since") ?? .epoch
    }

    /// Writes the payload.
    public func write(to data: inout EventDataWriter) {
        data.write("given_up", givenUp)
        data.write("reason", reason)
        data.write("since", since)
        data.write("target", target)
        data.write("waiting", waiting)
    }
}

extension AlertFired: DescribedPayload {
    /// What has happened.
    public static var summary: String { "An alert fires, or still does." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        PayloadField.alert + [
            PayloadField(
                "repetition",
                .integer,
                "Which report of this firing it is: 0 for the first, one more for each time that it is told again.",
                example: 0
            ),
            .silenced,
        ]
    }
}

extension AlertResolved: DescribedPayload {
    /// What has happened.
    public static var summary: String { "An alert is over." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        PayloadField.alert + [
            PayloadField("at", .timestamp, "When it was over, RFC 3339.", example: "2026-11-24T09:14:04Z"),
            PayloadField(
                "expired",
                .boolean,
                "Whether only no further event came for some time: nothing said that it is over.",
                example: false
            ),
            .silenced,
        ]
    }
}

extension AlertSilenced: DescribedPayload {
    /// What has happened.
    public static var summary: String { "The targets of alerts are not told for some time, or again." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField("by", .string, "Who says so; may be empty.", example: "ada"),
            PayloadField(
                "for_s",
                .number,
                "How long it lasts from the event on, in seconds; 0 ends what was said before.",
                example: 7200.0
            ),
            PayloadField(
                "group",
                .object,
                "The labels that an alert must have; empty for all alerts of the rule.",
                example: ["tool": "whisper"]
            ),
            PayloadField(
                "id",
                .string,
                "The id of the firing that was acknowledged: it is silent until it is over; missing for a silence of some time.",
                example: "2f9k3-1283",
                isOptional: true
            ),
            PayloadField("reason", .string, "Why; may be empty.", example: "new disk"),
            PayloadField("rule", .string, "The name of the rule; empty for all rules.", example: "tool-down"),
        ]
    }
}

extension AlertUndelivered: DescribedPayload {
    /// What has happened.
    public static var summary: String { "A target of alerts does not take what it is sent." }

    /// The members of its data.
    public static var fields: [PayloadField] {
        [
            PayloadField(
                "given_up",
                .integer,
                "How many alerts were given up because the target refused them for what they are.",
                example: 0
            ),
            PayloadField("reason", .string, "Why.", example: "ntfy.example answered 500"),
            PayloadField(
                "since",
                .timestamp,
                "Since when it takes nothing, RFC 3339.",
                example: "2026-11-24T09:04:04Z"
            ),
            PayloadField("target", .string, "The name of the target.", example: "phone"),
            PayloadField("waiting", .integer, "How many alerts wait for it.", example: 3),
        ]
    }
}

extension PayloadField {
    /// The members of an ``AlertDescription``.
    fileprivate static let alert: [PayloadField] = [
        PayloadField("count", .integer, "How many events counted towards it.", example: 3),
        PayloadField("group", .object, "What it is about.", example: ["tool": "whisper", "node": "pi"]),
        PayloadField("id", .string, "The id of the firing: all events about it have the same.", example: "2f9k3-1283"),
        PayloadField("reason", .string, "What happened; may be empty.", example: "exit status 1"),
        PayloadField("rule", .string, "The name of the rule.", example: "tool-down"),
        PayloadField(
            "sequences",
            .array,
            "The sequences of the newest events that counted, oldest first, at most ten.",
            example: [1281, 1282, 1283]
        ),
        PayloadField("severity", .string, "info, warning or critical.", example: "critical"),
        PayloadField("since", .timestamp, "Since when it fires, RFC 3339.", example: "2026-11-24T09:04:04Z"),
    ]
    fileprivate static let silenced = PayloadField(
        "silenced",
        .boolean,
        "Whether it is silenced, so that no target is told.",
        example: false
    )
}
