import MeshAlerts
import MeshConcurrency
import MeshEvents
import MeshMonitoring

/// The alerts that fire at a moment, and whether a process watches for them.
struct AlertsAtMoment: Sendable {
    /// The alerts: worse before less bad, older before newer.
    var firing: [AlertOverview.Firing]
    /// The process that watches; `nil` when the last one has ended.
    var watcher: AlertOverview.Watcher?
    /// Whether the process that watches shows no sign of life.
    var isLost: Bool

    /// - Parameter sighting: what is known of the lease of the process that watches.
    init(_ overview: AlertOverview, _ sighting: LeaseSightings.Sighting) {
        firing = overview.firing
        watcher = overview.watcher
        isLost = sighting == .lost || sighting == .undecided
    }

    /// Says that no process watches; `nil` when one does, or the last one has ended and left nothing that fires.
    func unwatched(_ time: LocalTime, now: Timestamp) -> String? {
        guard let watcher else {
            return firing.isEmpty ? nil : "no process watches the alerts: what fires is as the last one left it"
        }
        guard isLost else { return nil }
        return
            "no process watches the alerts: that of node \(SafeText.name(watcher.node)) has shown no sign of life since "
            + time.short(watcher.lastSeen, now: now)
    }
}

/// The alerts that fire, read again when they were read some time ago.
final class FiringAlerts: Sendable {
    /// How old what is shown may be.
    private static let age: Duration = .seconds(3)

    private struct State: Sendable {
        var known: (alerts: AlertsAtMoment?, at: ContinuousClock.Instant)?
        var sightings = LeaseSightings()
    }

    private let read: @Sendable () async throws -> AlertOverview
    private let state = Locked(State())

    init(_ read: @escaping @Sendable () async throws -> AlertOverview) { self.read = read }

    /// The alerts; `nil` when they cannot be read: no process has watched yet, or this user may not.
    ///
    /// - Parameter age: how old they may be; `nil` for some seconds.
    func firing(_ age: Duration? = nil) async -> AlertsAtMoment? {
        if let known = state.withLock({ $0.known }), .now - known.at < age ?? Self.age { return known.alerts }
        let overview = try? await read()
        return state.withLock { state in
            let alerts = overview.flatMap { overview in
                overview.position == nil
                    ? nil : AlertsAtMoment(overview, state.sightings.take(overview.lease))
            }
            state.known = (alerts, .now)
            return alerts
        }
    }
}
