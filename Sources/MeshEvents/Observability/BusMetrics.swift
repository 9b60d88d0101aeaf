import CoreMetrics
import MeshConcurrency
import Synchronization

/// An object whose counters and gauges ``BusMetrics`` reads.
protocol MetricSource: AnyObject, Sendable {
    /// Adds the object's current counts and gauges.
    func read(into readings: inout MetricReadings)
}

/// Reports the counts of a bus and its subscriptions to swift-metrics, as differences, about once a second.
///
/// An event itself reports nothing, so metrics add no cost to it: the counts are kept anyway. A source that ends hands
/// over its counts, so that none are lost between two reports.
final class BusMetrics: Sendable {
    private struct Weak: Sendable { weak var source: (any MetricSource)? }

    private struct State {
        var sources: [Weak] = []
        var ended = MetricReadings()
        var errors: [String: UInt64] = [:]
        var differences = MetricDifferences()
        var counters: [MetricReadings.Key: Counter] = [:]
        var gauges: [MetricReadings.Key: Gauge] = [:]
    }

    /// Events handed to the transport.
    let emitted = Atomic<UInt64>(0)

    private let factory: any MetricsFactory
    private let node: String
    private let transport: any EventTransport
    private let state = Locked(State())
    private let sampler = Locked<Task<Void, Never>?>(nil)

    /// - Parameters:
    ///   - factory: makes the metrics; `nil` for the process's factory.
    ///   - interval: the time between two reports.
    /// - Returns: `nil` when the factory makes no metrics; then nothing is reported.
    init?(_ factory: (any MetricsFactory)?, node: String, transport: any EventTransport, interval: Duration) {
        let factory = factory ?? MetricsSystem.factory
        if factory is NOOPMetricsHandler { return nil }
        self.factory = factory
        self.node = node
        self.transport = transport
        let task = Task { [weak self] in
            while (try? await Task.sleep(for: interval)) != nil, let self { report() }
        }
        sampler.withLock { $0 = task }
    }

    deinit {
        sampler.withLock { $0 }?.cancel()
        report()
    }

    /// Reads this source at each report, until it is deallocated.
    func add(_ source: some MetricSource) {
        state.withLock { state in
            state.sources.removeAll { $0.source == nil }
            state.sources.append(Weak(source: source))
        }
    }

    /// Takes the last readings of a source that is being deallocated.
    func ended(_ readings: MetricReadings) {
        state.withLock { $0.ended.addCounters(of: readings) }
    }

    /// Counts an emit that threw.
    func failed(_ error: MeshEventsError) {
        state.withLock { $0.errors[error.code.description, default: 0] += 1 }
    }

    /// Makes a timer of this bus.
    func timer(_ metric: EventMetric, label: String) -> Timer {
        Timer(
            label: metric.rawValue,
            dimensions: dimensions(MetricReadings.Key(metric: metric, label: label)),
            factory: factory
        )
    }

    /// Reports the changes since the last report.
    func report() {
        let (sources, ended, errors) = state.withLock { state in
            (state.sources.compactMap(\.source), state.ended, state.errors)
        }
        var readings = ended
        for source in sources { source.read(into: &readings) }
        readings.add(.emitted, emitted.load(ordering: .relaxed))
        for (code, count) in errors { readings.add(.emitErrors, count, label: code) }
        let statistics = transport.statistics
        readings.add(.reconnects, statistics.reconnects)
        readings.add(.unconfirmed, statistics.unconfirmed)
        readings.add(.outboundBytes, UInt64(statistics.outboundBytes))
        for (key, change) in state.withLock({ $0.differences.changes(to: readings) }) {
            switch change {
            case .increment(let amount): counter(key).increment(by: amount)
            case .set(let value): gauge(key).record(value)
            }
        }
    }

    private func counter(_ key: MetricReadings.Key) -> Counter {
        if let counter = state.withLock({ $0.counters[key] }) { return counter }
        let counter = Counter(label: key.metric.rawValue, dimensions: dimensions(key), factory: factory)
        state.withLock { $0.counters[key] = counter }
        return counter
    }

    private func gauge(_ key: MetricReadings.Key) -> Gauge {
        if let gauge = state.withLock({ $0.gauges[key] }) { return gauge }
        let gauge = Gauge(label: key.metric.rawValue, dimensions: dimensions(key), factory: factory)
        state.withLock { $0.gauges[key] = gauge }
        return gauge
    }

    private func dimensions(_ key: MetricReadings.Key) -> [(String, String)] {
        guard let label = key.metric.label else { return [("node", node)] }
        return [("node", node), (label, key.label)]
    }
}
