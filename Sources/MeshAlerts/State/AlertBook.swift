import MeshEvents
import MeshMonitoring

/// The alerts of a set of rules: it takes in events and the time, and makes reports. A value without a clock.
///
/// The same events in the same order make the same alerts with the same ids, so that a reader who takes over with a saved
/// state and the events behind it makes no report a second time: what was stored already comes back as `alert.fired` and
/// `alert.resolved`, and takes the waiting report away.
struct AlertBook: Sendable {
    /// The most alerts of a rule, and of all rules: what comes beyond them belongs to one alert with `…` for each label.
    static let mostGroups = 1_000
    static let mostAlerts = 100_000
    /// How long the id of an alert that is over is remembered at least.
    private static let memory: Duration = .seconds(600)

    private(set) var rules: [AlertRule] = []
    private var numbers: [String: Int] = [:]
    private(set) var states: [String: [AlertGroup: AlertState]] = [:]
    private(set) var silences: [AlertSilence] = []
    /// The alerts that have changed since they were saved.
    private var changed: Set<AlertKey> = []
    /// The alerts that have reports to be stored, and some that had, in the order in which those were made.
    private var reporting: [AlertKey] = []
    /// What is in ``reporting``.
    private var listed: Set<AlertKey> = []
    /// How many alerts have reports to be stored.
    private var unreported = 0
    /// Whether ``silences`` have changed since they were saved.
    private(set) var hasChangedSilences = false
    private var causes = PatternIndex()
    private var resolutions = PatternIndex()
    private var timers = TimeQueue<AlertKey>()
    /// For each alert, when the earliest of its entries in ``timers`` is due.
    private var timed: [AlertKey: Timestamp] = [:]
    private var alerts = 0

    // MARK: Rules

    /// Takes these rules instead of those before. Alerts of rules that stay go on; alerts of others are dropped.
    ///
    /// - Parameter now: from when new rules count, by the server's clock.
    mutating func use(_ rules: [AlertRule], now: Timestamp) {
        self.rules = rules
        numbers = Dictionary(rules.enumerated().map { ($1.name, $0) }) { first, _ in first }
        (causes, resolutions) = (PatternIndex(), PatternIndex())
        for (number, rule) in rules.enumerated() {
            for pattern in rule.patterns { causes.insert(number, pattern) }
            for pattern in rule.resolve { resolutions.insert(number, pattern) }
        }
        for (name, groups) in states where numbers[name] == nil {
            for group in groups.keys { remove(AlertKey(rule: name, group: group)) }
        }
        timers.removeAll()
        timed = [:]
        for rule in rules {
            if rule.isAboutSilence, [.subject, .fields([])].contains(rule.grouping) { watch(rule, now) }
            for group in (states[rule.name] ?? [:]).keys { schedule(AlertKey(rule: rule.name, group: group), rule) }
        }
    }

    func rule(named name: String) -> AlertRule? { numbers[name].map { rules[$0] } }

    /// Begins to wait for the events of a rule about silence that has one alert.
    private mutating func watch(_ rule: AlertRule, _ now: Timestamp) {
        let group = AlertGroup([])
        guard states[rule.name]?[group] == nil else { return }
        change(rule, group) { $0.last = now }
    }

    /// The rules that wait for events of which none has been seen since `now` of ``use(_:now:)``, so that it is worth to
    /// look for an earlier one.
    func silenceRules() -> [AlertRule] {
        rules.filter { rule in
            guard rule.isAboutSilence, let state = states[rule.name]?[AlertGroup([])] else { return false }
            return state.sequence == 0 && state.phase == .idle
        }
    }

    /// Takes in that the last event of a rule about silence was stored then; `nil` when there is none up to this sequence.
    mutating func seen(_ name: String, at time: Timestamp?, sequence: UInt64) {
        guard let rule = rule(named: name) else { return }
        change(rule, AlertGroup([])) { state in
            guard state.sequence == 0, state.phase == .idle else { return }
            (state.last, state.sequence) = (time ?? state.last, sequence)
        }
    }

    // MARK: Events

    /// Takes in an event; those of alerts tell what was reported already.
    mutating func take(_ stored: StoredEvent) {
        // The stream is in the order of its times: all before this one is taken in.
        advance(to: stored.storedAt)
        let type = stored.event.type
        if type.rawValue.hasPrefix("alert.") { return learn(stored) }
        let event = stored.event
        var resolved: Set<Int> = []
        for number in resolutions.rules(for: type) where rules[number].resolveFilter.matches(event) {
            resolved.insert(number)
            resolve(rules[number], stored)
        }
        for number in causes.rules(for: type) where !resolved.contains(number) {
            let rule = rules[number]
            let isMatch = rule.filter.matches(event)
            switch rule.cause {
            case .events(let count, let within):
                if isMatch { countEvent(rule, stored, count, within) }
            case .state(let duration): takeState(rule, stored, isMatch, duration)
            case .silence: if isMatch { hear(rule, stored) }
            }
        }
    }

    private mutating func countEvent(_ rule: AlertRule, _ stored: StoredEvent, _ count: Int, _ within: Duration) {
        change(rule, rule.group(of: stored.event), stored) { state, key, silences in
            state.count(stored.sequence, at: stored.storedAt, keeping: count)
            state.reason = rule.reason(of: stored.event)
            if state.phase == .firing {
                state.count += 1
                return
            }
            let first = stored.storedAt.subtracting(within)
            state.times.removeAll { $0 < first }
            guard state.times.count >= count, let since = state.times.first else { return }
            state.count = state.times.count
            state.since = since
            state.fire(key, rule, at: stored.storedAt, silences)
        }
    }

    private mutating func takeState(
        _ rule: AlertRule,
        _ stored: StoredEvent,
        _ isMatch: Bool,
        _ duration: Duration
    ) {
        let group = rule.group(of: stored.event)
        // What says the contrary of nothing changes nothing.
        guard isMatch || states[rule.name]?[group] != nil else { return }
        change(rule, group, stored) { state, key, silences in
            guard isMatch else {
                switch state.phase {
                case .idle: break
                case .pending: state.rest()
                case .firing: state.resolve(key, rule, at: stored.storedAt, silences)
                }
                return
            }
            state.note(stored.sequence)
            state.last = max(state.last, stored.storedAt)
            state.count += 1
            state.reason = rule.reason(of: stored.event)
            if state.phase == .idle {
                state.phase = .pending
                state.since = stored.storedAt
            }
            if state.phase == .pending, stored.storedAt >= state.since.adding(duration) {
                state.fire(key, rule, at: stored.storedAt, silences)
            }
        }
    }

    private mutating func hear(_ rule: AlertRule, _ stored: StoredEvent) {
        let group = rule.grouping == .subject ? AlertGroup([]) : rule.group(of: stored.event)
        change(rule, group, stored) { state, key, silences in
            if state.phase == .firing { state.resolve(key, rule, at: stored.storedAt, silences) }
            state.last = max(state.last, stored.storedAt)
            state.sequences = [stored.sequence]
        }
    }

    private mutating func resolve(_ rule: AlertRule, _ stored: StoredEvent) {
        for group in (states[rule.name] ?? [:]).keys where rule.concerns(group, stored.event) {
            change(rule, group, stored) { state, key, silences in
                if state.phase == .firing {
                    state.resolve(key, rule, at: stored.storedAt, silences)
                } else {
                    state.rest()
                }
            }
        }
    }

    // MARK: Time

    /// When the next alert has to be looked at; `nil` for none.
    var nextDeadline: Timestamp? { timers.first?.time }

    /// Takes in that it is `now`, and that all events stored until then were taken in: what fell due fires, or is over, at
    /// the time at which it did, whenever that is noticed.
    mutating func advance(to now: Timestamp) {
        var stuck: [(AlertKey, Timestamp)] = []
        while let entry = timers.first, entry.time <= now {
            _ = timers.removeFirst()
            guard timed[entry.name] == entry.time else { continue }
            timed[entry.name] = nil
            guard let rule = rule(named: entry.name.rule) else { continue }
            look(rule, entry.name, due: entry.time, now)
            // What is due again at the same time waits for the next call, so that this one ends.
            if let again = timed[entry.name], again <= entry.time {
                timed[entry.name] = nil
                stuck.append((entry.name, again))
            }
        }
        for (key, time) in stuck where timed[key] == nil {
            timed[key] = time
            timers.insert(key, at: time)
        }
        let before = silences.count
        silences.removeAll { $0.until <= now }
        if silences.count != before { hasChangedSilences = true }
    }

    private mutating func look(_ rule: AlertRule, _ key: AlertKey, due: Timestamp, _ now: Timestamp) {
        guard let state = states[key.rule]?[key.group] else { return }
        if state.phase == .idle, state.reports.isEmpty, due >= state.last.adding(rule.idleTime(Self.memory)),
            !rule.isAboutSilence
        {
            return remove(key)
        }
        change(rule, key.group) { state, key, silences in
            switch (state.phase, rule.cause) {
            case (.pending, .state(let duration)):
                let isConfirmed = !rule.resolve.isEmpty || state.last >= state.since.adding(duration / 2)
                if due >= state.since.adding(duration), isConfirmed { state.fire(key, rule, at: due, silences) }
            case (.idle, .silence(let duration)):
                guard due >= state.last.adding(duration) else { break }
                state.since = state.last
                state.reason = "none for \(duration.text)"
                state.fire(key, rule, at: due, silences)
            case (.firing, .events(_, let within)):
                if rule.resolve.isEmpty, due >= state.last.adding(within) {
                    state.resolve(key, rule, at: due, silences, isExpired: true)
                }
            default: break
            }
            // What is not stored yet is not told again.
            guard state.phase == .firing, state.reports.isEmpty, !state.isAcknowledged, !silences.silence(key, at: now)
            else {
                return
            }
            if !state.wasTold || rule.repetition.map({ now >= state.reportedAt.adding($0) }) ?? false {
                state.report(again: key, rule, at: now, silences)
            }
        }
    }

    // MARK: Silences

    private mutating func silence(_ payload: AlertSilenced, _ stored: StoredEvent) {
        if let id = payload.acknowledgedID {
            for (name, groups) in states {
                guard let rule = rule(named: name) else { continue }
                for (group, state) in groups where state.phase == .firing && state.id == id {
                    change(rule, group) { $0.isAcknowledged = true }
                }
            }
            return
        }
        silences.take(payload, at: stored.storedAt)
        hasChangedSilences = true
        for rule in rules where payload.rule.isEmpty || rule.name == payload.rule {
            for group in (states[rule.name] ?? [:]).keys { schedule(AlertKey(rule: rule.name, group: group), rule) }
        }
    }

    // MARK: Reports

    /// Whether reports are to be stored.
    var hasReports: Bool { unreported > 0 }

    /// The reports that are to be stored, critical ones first, then the oldest, at most so many; those of one alert in their
    /// order.
    func reports(_ limit: Int) -> [(key: AlertKey, report: AlertState.Report)] {
        guard hasReports else { return [] }
        var (urgent, others): ([(AlertKey, AlertState.Report)], [(AlertKey, AlertState.Report)]) = ([], [])
        for key in reporting where urgent.count < limit {
            for report in states[key.rule]?[key.group]?.reports ?? [] {
                if report.alert.severity == .critical {
                    urgent.append((key, report))
                } else if others.count < limit {
                    others.append((key, report))
                }
            }
        }
        return Array((urgent + others).prefix(limit))
    }

    /// Takes in that a report was stored then.
    mutating func stored(_ key: AlertKey, _ report: Alert.Identity, at time: Timestamp) {
        guard let rule = rule(named: key.rule),
            states[key.rule]?[key.group]?.reports.contains(where: { $0.alert.identity == report }) ?? false
        else { return }
        change(rule, key.group) { state in
            state.reports.removeAll { $0.alert.identity == report }
            // It is told again when so much time has passed since it was told.
            if report.status == .firing { state.reportedAt = max(state.reportedAt, time) }
        }
    }

    /// Takes in what an event says of alerts: reports that are stored, and silences.
    private mutating func learn(_ stored: StoredEvent) {
        let event = stored.event
        if event.type == .alertSilenced, let payload = try? AlertSilenced(eventData: event.data) {
            return silence(payload, stored)
        }
        guard let alert = Alert(event), let rule = rule(named: alert.rule) else { return }
        let key = AlertKey(rule: alert.rule, group: alert.group)
        self.stored(key, alert.identity, at: stored.storedAt)
        let known = states[key.rule]?[key.group]
        switch alert.status {
        case .firing where known?.phase != .firing && known?.ids.contains(alert.id) != true:
            // Another reader saw more, or what was saved is lost: from the events here it does not follow.
            change(rule, key.group) { state in
                guard state.sequence < stored.sequence else { return }
                state.begin(alert.id)
                state.severity = alert.severity
                state.since = alert.since
                state.last = max(state.last, alert.since)
                state.count = alert.count
                state.sequences = alert.sequences
                state.reason = alert.reason
                state.repetition = alert.repetition
                state.reportedAt = stored.storedAt
                state.wasTold = true
                state.sequence = stored.sequence
            }
        case .firing
        where known?.phase == .firing && known?.id == alert.id && alert.repetition > known?.repetition ?? 0:
            // Told again after the state was saved with which this reader began.
            change(rule, key.group) { state in
                state.repetition = alert.repetition
                state.reportedAt = max(state.reportedAt, stored.storedAt)
                state.wasTold = state.wasTold || !Alert.isSilenced(stored.event)
            }
        case .resolved where known?.id == alert.id && known?.phase == .firing && known?.sequence ?? 0 < stored.sequence:
            change(rule, key.group) { state in
                state.rest()
                state.sequence = stored.sequence
            }
        default: break
        }
    }

    // MARK: Changing

    /// Changes an alert by an event, unless it was taken in before.
    private mutating func change(
        _ rule: AlertRule,
        _ group: AlertGroup,
        _ stored: StoredEvent,
        _ body: (inout AlertState, AlertKey, [AlertSilence]) -> Void
    ) {
        change(rule, group) { state, key, silences in
            guard stored.sequence > state.sequence else { return }
            state.sequence = stored.sequence
            body(&state, key, silences)
        }
    }

    private mutating func change(_ rule: AlertRule, _ group: AlertGroup, _ body: (inout AlertState) -> Void) {
        change(rule, group) { state, _, _ in body(&state) }
    }

    private mutating func change(
        _ rule: AlertRule,
        _ group: AlertGroup,
        _ body: (inout AlertState, AlertKey, [AlertSilence]) -> Void
    ) {
        let group = place(for: group, of: rule)
        let key = AlertKey(rule: rule.name, group: group)
        let before = states[rule.name]?[group]
        var state = before ?? AlertState()
        body(&state, key, silences)
        guard state != before else { return schedule(key, rule) }
        if before == nil { alerts += 1 }
        states[rule.name, default: [:]][group] = state
        changed.insert(key)
        noteReports(key, before: before?.reports.isEmpty ?? true, now: state.reports.isEmpty)
        schedule(key, rule)
    }

    /// The group itself, or the one for all that there is no room for.
    private mutating func place(for group: AlertGroup, of rule: AlertRule) -> AlertGroup {
        let groups = states[rule.name] ?? [:]
        guard groups[group] == nil, groups.count >= Self.mostGroups || alerts >= Self.mostAlerts else { return group }
        let rest = AlertGroup(group.labels.map { AlertGroup.Label($0.name, "…") })
        let idle = groups.filter { $0.value.phase == .idle && $0.value.reports.isEmpty && $0.key != rest }
        // For a rule about silence the oldest would be the next to fire.
        if !rule.isAboutSilence, let oldest = idle.min(by: { $0.value.last < $1.value.last }) {
            remove(AlertKey(rule: rule.name, group: oldest.key))
            return group
        }
        return rest
    }

    private mutating func remove(_ key: AlertKey) {
        let hadNone = states[key.rule]?[key.group]?.reports.isEmpty ?? true
        guard states[key.rule]?.removeValue(forKey: key.group) != nil else { return }
        if states[key.rule]?.isEmpty ?? false { states[key.rule] = nil }
        alerts -= 1
        changed.insert(key)
        timed[key] = nil
        noteReports(key, before: hadNone, now: true)
    }

    /// Keeps ``reporting`` up to date when an alert gets its first report to be stored, or has none any more.
    private mutating func noteReports(_ key: AlertKey, before wasEmpty: Bool, now isEmpty: Bool) {
        guard wasEmpty != isEmpty else { return }
        unreported += isEmpty ? -1 : 1
        if !isEmpty, listed.insert(key).inserted { reporting.append(key) }
        // Not each time: there may be many.
        guard isEmpty, reporting.count > 2 * unreported + 64 else { return }
        reporting.removeAll { states[$0.rule]?[$0.group]?.reports.isEmpty ?? true }
        listed = Set(reporting)
    }

    private mutating func schedule(_ key: AlertKey, _ rule: AlertRule) {
        guard let state = states[key.rule]?[key.group], let due = deadline(state, key, rule) else { return }
        // A later one is found when the earlier one is due.
        if let present = timed[key], present <= due { return }
        timed[key] = due
        timers.insert(key, at: due)
    }

    private func deadline(_ state: AlertState, _ key: AlertKey, _ rule: AlertRule) -> Timestamp? {
        switch (state.phase, rule.cause) {
        case (.pending, .state(let duration)):
            let due = state.since.adding(duration)
            // Without a confirmation only an event can make it fire.
            return rule.resolve.isEmpty && state.last < state.since.adding(duration / 2) ? nil : due
        case (.pending, _): return nil
        case (.idle, .silence(let duration)): return state.last.adding(duration)
        case (.idle, _): return state.reports.isEmpty ? state.last.adding(rule.idleTime(Self.memory)) : nil
        case (.firing, _):
            var due: [Timestamp] = []
            if case .events(_, let within) = rule.cause, rule.resolve.isEmpty { due.append(state.last.adding(within)) }
            if !state.isAcknowledged, state.reports.isEmpty {
                // At the end of the last silence that covers it, or when it has to be told again.
                let silent = silences.filter { $0.covers(rule: key.rule, group: key.group) }.map(\.until).max()
                if !state.wasTold { due.append(silent ?? state.reportedAt) }
                if let repetition = rule.repetition {
                    due.append(max(state.reportedAt.adding(repetition), silent ?? .epoch))
                }
            }
            return due.min()
        }
    }

    // MARK: Saving

    /// What has changed since the last time: `nil` for alerts that are gone.
    mutating func takeChanged() -> [AlertKey: AlertState?] {
        defer { changed = [] }
        return Dictionary(uniqueKeysWithValues: changed.map { ($0, states[$0.rule]?[$0.group]) })
    }

    /// Notes that a change could not be saved.
    mutating func keepChanged(_ keys: some Sequence<AlertKey>) { changed.formUnion(keys) }

    /// Whether something has changed since ``takeChanged()``.
    var hasChanged: Bool { !changed.isEmpty }

    /// Notes whether the silences are saved.
    mutating func savedSilences(_ isSaved: Bool) { hasChangedSilences = !isSaved }

    /// Takes in what was saved; rules are given afterwards.
    mutating func restore(_ saved: [AlertKey: AlertState], silences: [AlertSilence]) {
        self.silences = Array(silences.prefix(AlertSilence.most))
        for (key, state) in saved where alerts < Self.mostAlerts {
            if states[key.rule]?[key.group] == nil { alerts += 1 }
            states[key.rule, default: [:]][key.group] = state
            noteReports(key, before: true, now: state.reports.isEmpty)
        }
    }
}
