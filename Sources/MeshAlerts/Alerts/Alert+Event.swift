package import MeshEvents

extension Alert {
    /// What tells two reports apart.
    struct Identity: Sendable, Hashable {
        var id: String
        var status: Status
        var repetition: Int
    }

    var identity: Identity { Identity(id: id, status: status, repetition: status == .resolved ? 0 : repetition) }

    /// What an event `alert.fired` or `alert.resolved` reports; `nil` for any other event, and one that is not valid.
    init?(_ event: Event) {
        let described: AlertDescription
        switch event.type {
        case .alertFired:
            guard let payload = try? AlertFired(eventData: event.data) else { return nil }
            described = payload.alert
            (status, at, repetition) = (.firing, event.timestamp, payload.repetition)
        case .alertResolved:
            guard let payload = try? AlertResolved(eventData: event.data) else { return nil }
            described = payload.alert
            (status, at, repetition) = (.resolved, payload.at, 0)
        default: return nil
        }
        guard (1...64).contains(described.id.utf8.count), AlertRule.problem(inName: described.rule) == nil,
            described.id.utf8.allSatisfy({ Self.isIDByte($0) })
        else { return nil }
        id = described.id
        rule = described.rule
        group = AlertGroup(described.group)
        severity = AlertSeverity(rawValue: described.severity) ?? .warning
        since = described.since
        count = described.count
        sequences = Array(described.sequences.suffix(AlertState.keptSequences))
        reason = described.reason.clean(to: 500)
    }

    /// Whether an event that reports an alert says that no target is told.
    static func isSilenced(_ event: Event) -> Bool { event.data["silenced"]?.bool ?? false }

    /// Whether an event that reports an alert says that it is over only because no further event came.
    static func isExpired(_ event: Event) -> Bool { event.data["expired"]?.bool ?? false }

    private static func isIDByte(_ byte: UInt8) -> Bool {
        byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z")
            || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") || byte == UInt8(ascii: "-")
    }

    /// The description in its events.
    fileprivate var described: AlertDescription {
        AlertDescription(
            id: id,
            rule: rule,
            group: group.data,
            severity: severity.rawValue,
            since: since,
            count: count,
            sequences: sequences,
            reason: reason
        )
    }
}

extension AlertState.Report {
    /// The type of the event that stores it.
    var type: EventType { alert.status == .firing ? .alertFired : .alertResolved }

    /// The event that stores it.
    var event: Event {
        get throws(MeshEventsError) {
            switch alert.status {
            case .firing:
                let payload = AlertFired(alert: alert.described, repetition: alert.repetition, isSilenced: isSilenced)
                return try Event(payload)
            case .resolved:
                let payload = AlertResolved(
                    alert: alert.described,
                    at: alert.at,
                    isExpired: isExpired,
                    isSilenced: isSilenced
                )
                return try Event(payload)
            }
        }
    }
}

extension AlertGroup {
    /// The most labels that are read.
    private static let mostLabels = 16

    /// Reads an object with a text for each label.
    init(_ data: EventData) {
        self.init(
            data.members.prefix(Self.mostLabels).map { name, value in
                Label(name.clean(to: Self.maximumValue), (value.string ?? value.json).clean(to: Self.maximumValue))
            }
        )
    }

    /// An object with a text for each label.
    package var data: EventData { EventData(JSONObject(labels.map { ($0.name, .string($0.value)) })) }
}
