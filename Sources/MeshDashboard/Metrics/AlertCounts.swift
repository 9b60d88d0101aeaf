import MeshAlerts
import MeshMetrics
import MeshMonitoring

/// How many alerts fire, by rule and severity.
struct AlertCounts: Sendable, Equatable {
    private struct Key: Sendable, Hashable {
        let rule: String
        let severity: String
    }

    /// How many rules have series of their own, by name.
    static let maximumRules = 200

    private var firing: [Key: Int] = [:]
    private let failingTargets: Int
    private let isWatched: Bool

    init(_ overview: AlertOverview, _ sighting: LeaseSightings.Sighting) {
        for alert in overview.firing.map(\.alert) {
            firing[Key(rule: alert.rule, severity: alert.severity.rawValue), default: 0] += 1
        }
        failingTargets = overview.failingTargets.count
        isWatched = overview.watcher != nil && sighting != .lost
    }

    /// Writes them as series.
    ///
    /// - Returns: how many rules have none of their own; they are summed under `other`.
    func write(into exposition: inout Exposition) -> Int {
        exposition.add(isWatched ? 1 : 0, to: MeshFamilies.alertWatcher)
        exposition.add(Double(failingTargets), to: MeshFamilies.alertTargets)
        let severities = Dictionary(grouping: firing.keys, by: \.severity)
        var leftOut = 0
        for (severity, keys) in severities.sorted(by: { $0.key < $1.key }) {
            let labels = MetricLabels("severity", severity)
            let other = labels.adding("rule", "other")
            var (seen, sum): (Set<MetricLabels>, Int) = ([other], 0)
            for key in keys.sorted(by: { $0.rule < $1.rule }) {
                let labels = labels.adding("rule", key.rule)
                let count = firing[key] ?? 0
                if seen.count <= Self.maximumRules, seen.insert(labels).inserted {
                    exposition.add(Double(count), to: MeshFamilies.alertsFiring, labels)
                } else {
                    sum += count
                    leftOut += 1
                }
            }
            if sum > 0 { exposition.add(Double(sum), to: MeshFamilies.alertsFiring, other) }
        }
        return leftOut
    }
}
