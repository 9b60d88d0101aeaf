public import CoreMetrics
import MeshConcurrency
import MeshEvents

/// Keeps a program's metrics, and writes them for Prometheus.
///
/// ```swift
/// let metrics = MetricRegistry()
/// MetricsSystem.bootstrap(metrics)              // or EventBus.Configuration.metrics, for one bus
/// let bus = EventBus(transport: transport, node: "attic")
/// // In the answer of an HTTP server:
/// let format = ExpositionFormat(accept: request.headers["Accept"])
/// return (format.contentType, metrics.text(format))
/// ```
///
/// A metric's label becomes its name: what is no letter, digit or underscore becomes an underscore. Counters end with
/// `_total`, timers with `_seconds`, whose values are seconds. Timers and aggregating recorders are histograms; other
/// recorders and meters are gauges. Of metrics whose names are the same but whose kinds differ, the later one's name ends
/// with its kind.
///
/// It is bounded, because the values of labels may come from strangers: ``Configuration/series`` altogether, and
/// ``Configuration/seriesPerMetric`` sets of labels of each metric. What a metric has beyond that is summed in one series
/// whose labels all have the value `other`; `mesh_metrics_summed_total` counts how often one was asked for. Values are cut
/// to 128 bytes, and a metric has at most 16 labels.
public final class MetricRegistry: MetricsFactory {
    /// The bounds of a registry, and the parts of its histograms.
    public struct Configuration: Sendable {
        /// How many series there are altogether, from 1; each line of a histogram counts. Each metric may have one more
        /// value, that of `other`. Default 10 000.
        public var series: Int
        /// How many sets of labels one metric has, from 1. Default 1 000.
        public var seriesPerMetric: Int
        /// How many metrics there are, from 1. Default 500. Those beyond are not kept at all.
        public var metrics: Int
        /// The upper bounds of the parts of a timer's histogram, in seconds; rising. Default: from 1 ms to 30 s.
        public var durations: [Double]
        /// The upper bounds of the parts of an aggregating recorder's histogram; rising. Default: from 1 to 1 000 000.
        public var values: [Double]

        /// Creates a configuration; a number below its range becomes the least in it, and bounds are put in order.
        public init(
            series: Int = 10_000,
            seriesPerMetric: Int = 1_000,
            metrics: Int = 500,
            durations: [Double] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
            values: [Double] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000]
        ) {
            self.series = max(1, series)
            self.seriesPerMetric = max(1, seriesPerMetric)
            self.metrics = max(1, metrics)
            self.durations = Self.ordered(durations)
            self.values = Self.ordered(values)
        }

        private static func ordered(_ bounds: [Double]) -> [Double] {
            Set(bounds.filter { $0.isFinite }).sorted()
        }
    }

    /// The most labels of a metric; further ones are left out.
    private static let maximumLabels = 16
    /// The value of the labels of what is summed.
    private static let other = "other"

    private struct Key: Sendable, Hashable {
        /// The family's name as the metric asks for it.
        let name: String
        let kind: MetricKind
    }

    private struct Family: Sendable {
        let family: MetricFamily
        var series: [MetricLabels: MetricCell] = [:]
        /// The sum of what has no series of its own.
        var other: (labels: MetricLabels, cell: MetricCell)?
        /// How often it was asked for.
        var summed: UInt64 = 0
    }

    private struct State: Sendable {
        var families: [Key: Family] = [:]
        /// The names that are taken by families and their samples.
        var names: Set<String> = []
        /// How many series there are, without the sums.
        var series = 0
        /// How many metrics were asked for and not kept.
        var lost: UInt64 = 0
    }

    private let configuration: Configuration
    private let state = Locked(State())

    /// Creates a registry without metrics.
    public init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
        reserve([Self.summed, Self.lost])
    }

    // MARK: Text

    /// The metrics as they are now.
    public func text(_ format: ExpositionFormat) -> String {
        var exposition = Exposition(format, maximumSeries: .max)
        write(into: &exposition)
        return String(decoding: exposition.text, as: UTF8.self)
    }

    /// Adds the metrics as they are now, by name.
    package func write(into exposition: inout Exposition) {
        let (families, lost) = state.withLock { (Array($0.families.values), $0.lost) }
        for family in families.sorted(by: { $0.family.name < $1.family.name }) {
            var series = family.series.map { (labels: $0.key, cell: $0.value) }
                .sorted { $0.labels.text < $1.labels.text }
            if let other = family.other { series.append(other) }
            for (labels, cell) in series {
                let value = cell.value
                if let histogram = value.histogram {
                    exposition.add(histogram, to: family.family, labels)
                } else {
                    exposition.add(value.number, to: family.family, labels)
                }
            }
            if family.summed > 0 {
                exposition.add(Double(family.summed), to: Self.summed, MetricLabels("metric", family.family.name))
            }
        }
        exposition.add(Double(lost), to: Self.lost)
    }

    /// Takes names, so that no program's metric has them.
    package func reserve(_ families: [MetricFamily]) {
        state.withLock { state in
            for family in families { state.names.formUnion(family.names) }
        }
    }

    private static let summed = MetricFamily(
        "mesh_metrics_summed",
        .counter,
        "Sets of labels that were asked for beyond the bounds, and summed in a series with the value other."
    )
    private static let lost = MetricFamily(
        "mesh_metrics_lost",
        .counter,
        "Metrics that were asked for beyond the bounds, and are not kept."
    )

    // MARK: Series

    /// The cell of a series; that of the sum, when there is no room for another.
    private func cell(_ label: String, _ kind: MetricKind, _ dimensions: [(String, String)]) -> MetricCell {
        let key = Key(name: kind.name(label), kind: kind)
        let names = Self.names(dimensions)
        let labels = Self.labels(names.map { ($0.key, $0.value) })
        let bounds = kind == .timer ? configuration.durations : configuration.values
        let size = kind.family == .histogram ? bounds.count + 3 : 1
        return state.withLock { state in
            guard var family = state.families[key] ?? newFamily(key, label, &state) else {
                state.lost += 1
                return MetricCell(kind, bounds: bounds)
            }
            if let cell = family.series[labels] { return cell }
            if let other = family.other, other.labels == labels { return other.cell }
            let cell: MetricCell
            if family.series.count < configuration.seriesPerMetric, state.series + size <= configuration.series {
                cell = MetricCell(kind, bounds: bounds)
                family.series[labels] = cell
                state.series += size
            } else {
                family.summed += 1
                let labels = Self.labels(names.map { ($0.key, Self.other) })
                cell = family.other?.cell ?? family.series[labels] ?? MetricCell(kind, bounds: bounds)
                if family.other == nil, family.series[labels] == nil { family.other = (labels, cell) }
            }
            state.families[key] = family
            return cell
        }
    }

    /// A family with a name that is not taken; `nil` when there are too many, or both names are.
    private func newFamily(_ key: Key, _ label: String, _ state: inout State) -> Family? {
        guard state.families.count < configuration.metrics else { return nil }
        let help = EventMetric(rawValue: label)?.help ?? "The \(key.kind.rawValue) \(label.truncated(bytes: 256))."
        for name in [key.name, "\(key.name)_\(key.kind.rawValue)"] {
            let family = MetricFamily(name, key.kind.family, help)
            guard state.names.isDisjoint(with: family.names) else { continue }
            state.names.formUnion(family.names)
            state.families[key] = Family(family: family)
            return state.families[key]
        }
        return nil
    }

    /// The names and values of labels, each name once, in order: the order in which a program gives them says nothing.
    private static func names(_ dimensions: [(String, String)]) -> [(key: String, value: String)] {
        var values: [String: String] = [:]
        for (name, value) in dimensions.prefix(maximumLabels) { values[MetricName.label(name)] = value }
        return values.sorted { $0.key < $1.key }
    }

    private static func labels(_ pairs: [(String, String)]) -> MetricLabels {
        pairs.reduce(MetricLabels()) { $0.adding($1.0, $1.1) }
    }

    private func remove(_ handler: AnyObject) {
        guard let cell = handler as? MetricCell else { return }
        state.withLock { state in
            for (key, family) in state.families where key.kind == cell.kind {
                guard let labels = family.series.first(where: { $0.value === cell })?.key else { continue }
                state.families[key]?.series[labels] = nil
                state.series -= cell.value.histogram?.seriesCount ?? 1
                return
            }
        }
    }

    // MARK: MetricsFactory

    /// Makes a counter. All counters of one label with the same dimensions count together.
    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        cell(label, .counter, dimensions)
    }

    /// Makes a counter of fractions; see ``makeCounter(label:dimensions:)``.
    public func makeFloatingPointCounter(
        label: String,
        dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        cell(label, .counter, dimensions)
    }

    /// Makes a meter: a gauge.
    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        cell(label, .meter, dimensions)
    }

    /// Makes a recorder: a histogram when it aggregates, else a gauge.
    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        cell(label, aggregate ? .recorder : .gauge, dimensions)
    }

    /// Makes a timer: a histogram of seconds.
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        cell(label, .timer, dimensions)
    }

    /// Forgets the series of a counter; what has no series of its own stays summed.
    public func destroyCounter(_ handler: any CounterHandler) { remove(handler) }

    /// Forgets the series of a counter of fractions.
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { remove(handler) }

    /// Forgets the series of a meter.
    public func destroyMeter(_ handler: any MeterHandler) { remove(handler) }

    /// Forgets the series of a recorder.
    public func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }

    /// Forgets the series of a timer.
    public func destroyTimer(_ handler: any TimerHandler) { remove(handler) }
}
