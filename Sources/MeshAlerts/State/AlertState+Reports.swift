import MeshEvents

extension AlertState {
    mutating func fire(_ key: AlertKey, _ rule: AlertRule, at time: Timestamp, _ silences: [AlertSilence]) {
        begin(AlertID.make(key, self, rule))
        severity = rule.severity
        repetition = 0
        report(key, rule, at: time, silences)
    }

    mutating func report(
        again key: AlertKey,
        _ rule: AlertRule,
        at time: Timestamp,
        _ silences: [AlertSilence]
    ) {
        repetition += 1
        report(key, rule, at: time, silences)
    }

    private mutating func report(_ key: AlertKey, _ rule: AlertRule, at time: Timestamp, _ silences: [AlertSilence]) {
        let isSilenced = silences.silence(key, at: time)
        reportedAt = time
        if !isSilenced { wasTold = true }
        add(Report(alert: alert(key, rule, .firing, at: time), isSilenced: isSilenced, isExpired: false))
    }

    mutating func resolve(
        _ key: AlertKey,
        _ rule: AlertRule,
        at time: Timestamp,
        _ silences: [AlertSilence],
        isExpired: Bool = false
    ) {
        // Who was never told that it fires need not be told that it is over.
        add(Report(alert: alert(key, rule, .resolved, at: time), isSilenced: !wasTold, isExpired: isExpired))
        rest()
        last = max(last, time)
    }

    private func alert(_ key: AlertKey, _ rule: AlertRule, _ status: Alert.Status, at time: Timestamp) -> Alert {
        Alert(
            id: id,
            rule: key.rule,
            group: key.group,
            status: status,
            severity: rule.severity,
            since: since,
            at: time,
            count: count,
            sequences: sequences,
            reason: reason,
            repetition: repetition
        )
    }
}

/// Makes ids of firings.
private enum AlertID {
    /// The same for all who take in the same events: of the alert, and of the event or the moment that made it fire.
    static func make(_ key: AlertKey, _ state: AlertState, _ rule: AlertRule) -> String {
        var hash = StableHash()
        hash.add(key.rule.utf8)
        for label in key.group.labels {
            hash.add(label.name.utf8)
            hash.add(label.value.utf8)
        }
        // A rule about silence has no event that made it fire: the silence began at this moment.
        let cause =
            rule.isAboutSilence ? UInt64(bitPattern: state.last.nanosecondsSinceEpoch) : state.sequences.first ?? 0
        return "\(hash.text)-\(String(cause, radix: 36))"
    }
}

extension AlertRule {
    var isAboutSilence: Bool {
        if case .silence = cause { return true }
        return false
    }

    /// How long after its last event an alert that does not fire is dropped.
    func idleTime(_ memory: Duration) -> Duration {
        switch cause {
        case .events(_, let within): max(within, memory)
        case .state(let duration), .silence(let duration): max(duration, memory)
        }
    }

    /// What an event says has happened: the members in which the mesh's own events say why, else the fields of the filter.
    func reason(of event: Event) -> String {
        for name in ["error", "reason", "message", "text"] {
            if let text = event.data[name]?.string, !text.isEmpty { return text.clean(to: Self.longestReason) }
        }
        return filter.conditions.compactMap { condition -> String? in
            let path = condition.path.joined(separator: ".")
            return Self.value(path, of: event).map { "\(path) \($0)" }
        }
        .joined(separator: ", ").clean(to: Self.longestReason)
    }

    private static let longestReason = 500
}

extension Duration {
    /// `25h`, `1m30s`, `0.5s`.
    var text: String {
        let seconds = Int(components.seconds)
        guard seconds > 0 else { return "\(Double(components.attoseconds) / 1e18)s" }
        let parts = [
            (seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s"),
        ]
        return parts.filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }.joined()
    }
}
