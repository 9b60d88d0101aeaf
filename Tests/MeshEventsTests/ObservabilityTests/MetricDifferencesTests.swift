import Testing

@testable import MeshEvents

/// What is told to the backend, as a pure value.
struct MetricDifferencesTests {
    private func readings(_ values: (EventMetric, UInt64, String)...) -> MetricReadings {
        values.reduce(into: MetricReadings()) { $0.add($1.0, $1.1, label: $1.2) }
    }

    private func key(_ metric: EventMetric, _ label: String = "") -> MetricReadings.Key {
        MetricReadings.Key(metric: metric, label: label)
    }

    @Test func countersAreToldByDifference() {
        var differences = MetricDifferences()
        #expect(
            differences.changes(to: readings((.received, 3, "a"), (.received, 4, "a"))).map(\.change) == [.increment(7)]
        )
        #expect(differences.changes(to: readings((.received, 7, "a"))).isEmpty)
        #expect(differences.changes(to: readings((.received, 9, "a"))).map(\.change) == [.increment(2)])
    }

    @Test func aSourceThatIsJustEndingIsNotCountedTwice() {
        var differences = MetricDifferences()
        _ = differences.changes(to: readings((.received, 9, "a")))
        #expect(differences.changes(to: readings((.received, 2, "a"))).isEmpty)
        #expect(differences.changes(to: readings((.received, 10, "a"))).map(\.change) == [.increment(1)])
    }

    @Test func aGaugeWithoutASourceIsZeroOnce() {
        var differences = MetricDifferences()
        #expect(differences.changes(to: readings((.bufferedEvents, 5, "a"))).map(\.change) == [.set(5)])
        #expect(differences.changes(to: MetricReadings()).map(\.change) == [.set(0)])
        #expect(differences.changes(to: MetricReadings()).isEmpty)
    }

    @Test func labelsAreBounded() {
        var differences = MetricDifferences()
        var all = MetricReadings()
        for number in 0..<1_000 {
            all.add(.received, 1, label: "events.user.\(number)")
            all.add(.bufferedEvents, 1, label: "events.user.\(number)")
        }
        let changes = differences.changes(to: all)
        #expect(changes.count == 2 * (MetricReadings.maximumLabels + 1))
        let other = changes.first { $0.key == key(.received, MetricReadings.other) }?.change
        #expect(other == .increment(Int64(1_000 - MetricReadings.maximumLabels)))
        #expect(changes.contains { $0.key == key(.bufferedEvents, "other") && $0.change == .set(900) })
    }
}
