public import MeshEvents
package import MeshMonitoring

/// What fires now, what is silenced, and which targets take nothing: what a runner has saved, and what was stored since.
public struct AlertOverview: Sendable {
    /// An alert that fires.
    public struct Firing: Sendable, Hashable {
        /// The alert, as it was last reported.
        public var alert: Alert
        /// Whether a person has acknowledged it.
        public var isAcknowledged: Bool
        /// The silence that covers it; `nil` for none.
        public var silence: AlertSilence?
    }

    /// A target that takes nothing.
    public struct FailingTarget: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// Since when.
        public var since: Timestamp
    }

    /// The runner that watches.
    public struct Watcher: Sendable, Hashable {
        /// The name of its node.
        public var node: String
        /// Its last sign of life, by the server's clock; a third of ``AlertRunner/Configuration/lease`` ago at most while it
        /// lives.
        public var lastSeen: Timestamp
    }

    /// The alerts that fire: worse before less bad, older before newer.
    public private(set) var firing: [Firing] = []
    /// The silences that are not over.
    public private(set) var silences: [AlertSilence] = []
    /// The targets that take nothing, by name.
    public private(set) var failingTargets: [FailingTarget] = []
    /// Up to which sequence the state was saved; `nil` when no runner has saved any.
    public private(set) var position: UInt64?
    /// The lease of the runner that watches.
    package private(set) var lease: LeaseReading?

    /// The runner that watches; `nil` when the last one has ended. One that was killed stays until another one watches.
    public var watcher: Watcher? { lease.map { Watcher(node: $0.node, lastSeen: $0.storedAt) } }

    /// Reads it.
    ///
    /// - Parameters:
    ///   - table: where the runner saves its state.
    ///   - store: the store with the mesh's events.
    ///   - verification: which signatures count; `nil` for all.
    ///   - now: the time, for silences that end.
    /// - Throws: as ``/MeshEvents/StateStore`` and ``/MeshEvents/EventStore``; `streamNotFound` when there is no stream. Without a
    ///   table no runner has saved anything.
    public static func load(
        from table: some StateStore,
        store: some EventStore,
        verification: SignatureVerification? = nil,
        now: Timestamp = .now
    ) async throws(MeshEventsError) -> AlertOverview {
        let table = SignedTable(table, verification: verification, unchecked: [StateKeys.lease])
        let saved = try await SavedAlerts.ifAny(in: table)
        let stream = try await store.state()
        var state = Reading(saved)
        let isSame = saved.position?.holds(for: stream) ?? false
        let history = EventHistory(store: store, verification: verification)
        let events = history.events(
            matching: [.alertFired, .alertResolved, .alertSilenced],
            after: isSame ? saved.position?.sequence : nil
        )
        for try await stored in events { state.take(stored) }
        return state.overview(saved, now: now)
    }

    /// The alerts while they are read.
    private struct Reading {
        private var alerts: [String: (alert: Alert, isAcknowledged: Bool)] = [:]
        private var silences: [AlertSilence]

        init(_ saved: SavedAlerts) {
            silences = saved.silences
            for (key, state) in saved.states where state.phase == .firing {
                alerts[state.id] = (Alert(firing: key, state), state.isAcknowledged)
            }
        }

        mutating func take(_ stored: StoredEvent) {
            if let payload = try? AlertSilenced(eventData: stored.event.data), stored.event.type == .alertSilenced {
                if let id = payload.acknowledgedID {
                    alerts[id]?.isAcknowledged = true
                } else {
                    silences.take(payload, at: stored.storedAt)
                }
                return
            }
            guard var alert = Alert(stored.event) else { return }
            switch alert.status {
            case .resolved: alerts[alert.id] = nil
            case .firing:
                alert.at = stored.storedAt
                alerts[alert.id] = (alert, alerts[alert.id]?.isAcknowledged ?? false)
            }
        }

        func overview(_ saved: SavedAlerts, now: Timestamp) -> AlertOverview {
            var overview = AlertOverview()
            overview.position = saved.position?.sequence
            overview.lease = saved.lease
            overview.silences = silences.filter { $0.until > now }
            overview.firing = alerts.values.map { alert, isAcknowledged in
                let silence = overview.silences.first { $0.covers(rule: alert.rule, group: alert.group) }
                return Firing(alert: alert, isAcknowledged: isAcknowledged, silence: silence)
            }
            .sorted { one, other in
                if one.alert.severity != other.alert.severity { return one.alert.severity > other.alert.severity }
                return (one.alert.since, one.alert.id) < (other.alert.since, other.alert.id)
            }
            overview.failingTargets = saved.places.compactMap { name, place in
                place.failingSince.map { FailingTarget(name: name, since: $0) }
            }
            .sorted { $0.name < $1.name }
            return overview
        }
    }
}

extension Alert {
    /// An alert that fires, as its state is saved.
    fileprivate init(firing key: AlertKey, _ state: AlertState) {
        self.init(
            id: state.id,
            rule: key.rule,
            group: key.group,
            status: .firing,
            severity: state.severity,
            since: state.since,
            at: state.reportedAt,
            count: state.count,
            sequences: state.sequences,
            reason: state.reason,
            repetition: state.repetition
        )
    }
}
