import MeshEvents

// What is saved of an alert: a JSON object. What is missing reads as of a new alert, so that a later version may add to it.

extension AlertKey {
    /// Reads the key from what is saved of an alert.
    init?(json data: EventData) {
        guard let rule = data["rule"]?.string, let group = data["group"]?.data else { return nil }
        self.init(rule: rule, group: AlertGroup(group))
    }
}

extension AlertState {
    init?(json data: EventData) {
        self.init()
        guard let phase = data["phase"]?.string.flatMap(Phase.init(rawValue:)), let sequence = data["sequence"]?.uint64
        else { return nil }
        self.phase = phase
        self.sequence = sequence
        since = data.time("since")
        last = data.time("last")
        reportedAt = data.time("reported")
        times = data.list("times").compactMap(\.timestamp).suffix(AlertRule.maximumCount)
        sequences = data.list("sequences").compactMap(\.uint64).suffix(Self.keptSequences)
        count = data["count"]?.int ?? 0
        ids = data.list("ids").compactMap(\.string).suffix(Self.keptIDs)
        reason = data["reason"]?.string ?? ""
        severity = data["severity"]?.string.flatMap(AlertSeverity.init(rawValue:)) ?? .warning
        repetition = data["repetition"]?.int ?? 0
        wasTold = data["told"]?.bool ?? false
        isAcknowledged = data["acknowledged"]?.bool ?? false
        reports = data.list("reports").prefix(Self.mostReports).compactMap { $0.data.flatMap(Report.init(json:)) }
    }

    /// What is saved.
    func json(_ key: AlertKey) -> EventData {
        [
            "rule": .string(key.rule), "group": JSONValue(key.group.data), "phase": .string(phase.rawValue),
            "sequence": JSONValue(sequence), "since": JSONValue(since), "last": JSONValue(last),
            "reported": JSONValue(reportedAt), "times": .array(times.map { JSONValue($0) }),
            "sequences": .array(sequences.map { JSONValue($0) }), "count": JSONValue(count),
            "ids": .array(ids.map { .string($0) }), "severity": .string(severity.rawValue), "reason": .string(reason),
            "repetition": JSONValue(repetition),
            "told": JSONValue(wasTold), "acknowledged": JSONValue(isAcknowledged),
            "reports": .array(reports.compactMap { $0.json.map { JSONValue($0) } }),
        ]
    }
}

extension AlertState.Report {
    init?(json data: EventData) {
        guard let type = data["type"]?.string.flatMap({ try? EventType($0) }), let payload = data["data"]?.data,
            var alert = Alert(Event(type, data: payload))
        else { return nil }
        alert.at = data.time("at")
        self.init(
            alert: alert,
            isSilenced: payload["silenced"]?.bool ?? false,
            isExpired: payload["expired"]?.bool ?? false
        )
    }

    fileprivate var json: EventData? {
        guard let event = try? event else { return nil }
        return ["type": .string(event.type.rawValue), "at": JSONValue(alert.at), "data": JSONValue(event.data)]
    }
}

extension AlertSilence {
    init?(json data: EventData) {
        guard let rule = data["rule"]?.string, let group = data["group"]?.data else { return nil }
        self.init(
            rule: rule,
            labels: AlertGroup(group).labels,
            until: data.time("until"),
            by: data["by"]?.string ?? "",
            reason: data["reason"]?.string ?? ""
        )
    }

    /// What is saved.
    var json: EventData {
        [
            "rule": .string(rule), "group": JSONValue(AlertGroup(labels).data), "until": JSONValue(until),
            "by": .string(by), "reason": .string(reason),
        ]
    }
}

extension EventData {
    /// A time in nanoseconds since 1970; ``Timestamp/epoch`` when there is none.
    func time(_ name: String) -> Timestamp { self[name]?.timestamp ?? .epoch }

    /// The elements of a list; none when there is no list.
    func list(_ name: String) -> [EventData.Field] { self[name]?.array ?? [] }
}

extension EventData.Field {
    /// A time in nanoseconds since 1970.
    var timestamp: Timestamp? { int64.map { Timestamp(nanosecondsSinceEpoch: $0) } }
}

extension JSONValue {
    /// A time in nanoseconds since 1970.
    init(_ time: Timestamp) { self.init(time.nanosecondsSinceEpoch) }
}
