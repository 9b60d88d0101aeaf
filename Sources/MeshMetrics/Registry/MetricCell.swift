import CoreMetrics
import MeshConcurrency

/// The value of one series, which a program's metric changes.
final class MetricCell: CounterHandler, FloatingPointCounterHandler, MeterHandler, RecorderHandler, TimerHandler {
    /// What a value is; a histogram has no number, and the others have no histogram.
    struct Value: Sendable {
        var number = 0.0
        var histogram: HistogramCounts?
    }

    let kind: MetricKind
    private let state: Locked<Value>

    init(_ kind: MetricKind, bounds: [Double]) {
        self.kind = kind
        state = Locked(Value(histogram: kind.family == .histogram ? HistogramCounts(bounds: bounds) : nil))
    }

    /// The value now.
    var value: Value { state.withLock { $0 } }

    // MARK: Counters and meters

    func increment(by amount: Int64) { increment(by: Double(amount)) }

    func increment(by amount: Double) {
        // A counter never falls, whatever its program says.
        guard kind == .meter || amount > 0, amount.isFinite else { return }
        state.withLock { $0.number += amount }
    }

    func decrement(by amount: Double) { increment(by: -amount) }

    func reset() { state.withLock { $0.number = 0 } }

    func set(_ value: Int64) { set(Double(value)) }

    func set(_ value: Double) { state.withLock { $0.number = value } }

    // MARK: Recorders and timers

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        state.withLock { state in
            if state.histogram == nil { state.number = value } else { state.histogram?.record(value) }
        }
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
}

/// The kinds of metrics that swift-metrics knows.
enum MetricKind: String, Sendable, Hashable {
    case counter
    /// A recorder that keeps the last value.
    case gauge
    /// A gauge that can be raised and lowered.
    case meter
    case recorder
    case timer

    /// What it is for a scraper.
    var family: MetricFamily.Kind {
        switch self {
        case .counter: .counter
        case .gauge, .meter: .gauge
        case .recorder, .timer: .histogram
        }
    }

    /// The name of a family of this kind, made of a metric's label: times are in seconds, and a counter's samples get
    /// their ending when they are written.
    func name(_ label: String) -> String {
        let name = MetricName.metric(label)
        switch self {
        case .counter: return name.hasSuffix("_total") ? String(name.dropLast("_total".utf8.count)) : name
        case .timer: return name.hasSuffix("_seconds") ? name : name + "_seconds"
        case .gauge, .meter, .recorder: return name
        }
    }
}
