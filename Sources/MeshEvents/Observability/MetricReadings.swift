/// The current values of counters and gauges, by metric and the value of its label. A pure value.
struct MetricReadings: Sendable {
    /// One metric with one value of its label.
    struct Key: Hashable, Sendable {
        let metric: EventMetric
        let label: String
    }

    /// A change to report to the metrics backend.
    enum Change: Equatable, Sendable {
        case increment(Int64)
        case set(Double)
    }

    /// The label for values beyond ``maximumLabels``.
    static let other = "other"
    /// The most values of one metric's label: subscriptions to patterns that users choose must not fill the backend.
    static let maximumLabels = 100

    private(set) var counters: [Key: UInt64] = [:]
    private(set) var gauges: [Key: Double] = [:]

    /// Adds to a counter, or to a gauge.
    mutating func add(_ metric: EventMetric, _ value: UInt64, label: String = "") {
        let key = Key(metric: metric, label: label)
        if metric.kind == .gauge {
            gauges[key, default: 0] += Double(value)
        } else {
            counters[key, default: 0] += value
        }
    }

    /// Adds the counters of a source that has ended, but not its gauges: those end with it.
    mutating func addCounters(of other: MetricReadings) {
        counters.merge(other.counters, uniquingKeysWith: +)
    }
}

/// Computes the changes since the last reading. A pure value.
struct MetricDifferences: Sendable {
    private var counters: [MetricReadings.Key: UInt64] = [:]
    private var gauges: Set<MetricReadings.Key> = []
    private var labels: [EventMetric: Set<String>] = [:]

    /// The changes since the last call. A counter is lower than before while one of its sources is being deallocated;
    /// the next reading has its counts again.
    mutating func changes(to readings: MetricReadings) -> [(key: MetricReadings.Key, change: MetricReadings.Change)] {
        var current = MetricReadings()
        for (key, value) in readings.counters { current.add(key.metric, value, label: admitted(key)) }
        var changes: [(key: MetricReadings.Key, change: MetricReadings.Change)] = []
        for (key, value) in current.counters {
            let last = counters[key] ?? 0
            guard value > last else { continue }
            counters[key] = value
            changes.append((key, .increment(Int64(clamping: value - last))))
        }
        var standing: [MetricReadings.Key: Double] = [:]
        for (key, value) in readings.gauges {
            standing[MetricReadings.Key(metric: key.metric, label: admitted(key)), default: 0] += value
        }
        for key in gauges where standing[key] == nil { standing[key] = 0 }
        for (key, value) in standing { changes.append((key, .set(value))) }
        gauges = Set(standing.keys.filter { standing[$0] != 0 })
        return changes
    }

    private mutating func admitted(_ key: MetricReadings.Key) -> String {
        var known = labels[key.metric] ?? []
        if known.contains(key.label) { return key.label }
        guard known.count < MetricReadings.maximumLabels else { return MetricReadings.other }
        known.insert(key.label)
        labels[key.metric] = known
        return key.label
    }
}
