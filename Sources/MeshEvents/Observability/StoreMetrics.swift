import CoreMetrics
import Synchronization

/// The counts and times of a persistent bus.
final class StoreMetrics: MetricSource {
    private let stream: String
    private let metrics: BusMetrics
    private let acknowledged = Atomic<UInt64>(0)
    private let duration: Timer

    init(stream: String, metrics: BusMetrics) {
        self.stream = stream
        self.metrics = metrics
        duration = metrics.timer(.acknowledgementDuration, label: stream)
        metrics.add(self)
    }

    deinit {
        var readings = MetricReadings()
        read(into: &readings)
        metrics.ended(readings)
    }

    /// Counts messages that the store has acknowledged, and the time since the first of them was handed to it.
    func acknowledged(_ count: Int, since start: ContinuousClock.Instant) {
        acknowledged.add(UInt64(count), ordering: .relaxed)
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        duration.recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }

    /// Counts an emit that threw.
    func failed(_ error: MeshEventsError) { metrics.failed(error) }

    func read(into readings: inout MetricReadings) {
        readings.add(.acknowledged, acknowledged.load(ordering: .relaxed), label: stream)
    }
}
