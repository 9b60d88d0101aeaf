import EventWork
import InMemoryTracing
import MeshEvents
import MetricsTestKit

/// What it costs to be seen: emit to handler with a metrics backend, and with one for spans, too.
struct ObservabilityComparisons {
    let options: Options
    let url: String

    /// Prints the rows; there are no goals. The backends are those of tests: they keep what they get in memory.
    func report() async throws {
        let plain = try await EventMeasures(url: url)
        let count = options.count(250_000)
        let metrics = EventBus.Configuration(metrics: TestMetrics())
        let counted = try await EventMeasures(url: url, emitting: metrics, receiving: metrics)
        _ = try await options.compare(
            [row("emit to handler, with metrics")],
            ours: counted.handle(count),
            yardstick: plain.handle(count)
        )
        let tracer = InMemoryTracer(recordInjections: false, recordExtractions: false)
        let all = EventBus.Configuration(metrics: TestMetrics(), tracer: tracer)
        let traced = try await EventMeasures(url: url, emitting: all, receiving: all)
        let handle = traced.handle(count)
        _ = try await options.compare(
            [row("emit to handler, with metrics and spans")],
            ours: {
                let result = try await handle()
                let spans = tracer.popFinishedSpans().count
                guard spans >= count else { throw BenchmarkError("\(count) events have \(spans) spans") }
                return result
            },
            yardstick: plain.handle(count)
        )
    }

    private func row(_ name: String) -> Goal {
        Goal(name: "   \(name)", yardstick: "without", bound: .none, unit: .rate)
    }
}
