import CoreMetrics
import MeshEvents
import MeshEventsTesting
import TestSupport
import Testing

@testable import MeshMetrics

@Suite struct MetricRegistryTests {
    private func lines(_ registry: MetricRegistry) -> [String] {
        registry.text(.openMetrics).split(separator: "\n").map(String.init)
    }

    private func samples(_ registry: MetricRegistry, _ prefix: String = "") -> [String] {
        lines(registry).filter { !$0.hasPrefix("#") && $0.hasPrefix(prefix) && !$0.hasPrefix("mesh_metrics_") }
    }

    @Test func everyKindOfMetricIsWritten() {
        let registry = MetricRegistry(.init(durations: [0.01, 1], values: [10]))
        Counter(label: "nats.sent", dimensions: [("b", "2"), ("a", "1")], factory: registry).increment(by: 3)
        FloatingPointCounter(label: "energy_total", factory: registry).increment(by: 1.5)
        Gauge(label: "level", factory: registry).record(-2.5)
        let meter = Meter(label: "open", factory: registry)
        meter.set(5)
        meter.increment(by: 2)
        meter.decrement(by: 3)
        Recorder(label: "size", factory: registry).record(12)
        Timer(label: "wait", factory: registry).recordNanoseconds(20_000_000)
        #expect(
            samples(registry) == [
                "energy_total 1.5", "level -2.5", #"nats_sent_total{a="1",b="2"} 3"#, "open 4",
                #"size_bucket{le="10.0"} 0"#, #"size_bucket{le="+Inf"} 1"#, "size_count 1", "size_sum 12",
                #"wait_seconds_bucket{le="0.01"} 0"#, #"wait_seconds_bucket{le="1.0"} 1"#,
                #"wait_seconds_bucket{le="+Inf"} 1"#, "wait_seconds_count 1", "wait_seconds_sum 0.02",
            ]
        )
        let lines = lines(registry)
        for line in [
            "# TYPE energy counter", "# TYPE level gauge", "# TYPE nats_sent counter", "# TYPE open gauge",
            "# TYPE size histogram", "# TYPE wait_seconds histogram", "# UNIT wait_seconds seconds",
        ] { #expect(lines.contains(line), "\(line)") }
        #expect(lines.last == "# EOF")
    }

    @Test func metricsOfOneLabelCountTogether() {
        let registry = MetricRegistry()
        for dimensions in [[("a", "1"), ("b", "2")], [("b", "2"), ("a", "1")], [("a", "0"), ("b", "2"), ("a", "1")]] {
            Counter(label: "x", dimensions: dimensions, factory: registry).increment()
        }
        #expect(samples(registry) == [#"x_total{a="1",b="2"} 3"#])
        // A counter never falls.
        Counter(label: "x", dimensions: [("a", "1"), ("b", "2")], factory: registry).increment(by: -5)
        #expect(samples(registry) == [#"x_total{a="1",b="2"} 3"#])
    }

    @Test func namesThatAreTakenAreChanged() {
        let registry = MetricRegistry()
        Counter(label: "x", factory: registry).increment()
        Gauge(label: "x", factory: registry).record(2)
        Gauge(label: "x_total", factory: registry).record(3)
        Recorder(label: "y", factory: registry).record(1)
        Gauge(label: "y_count", factory: registry).record(4)
        registry.reserve([MetricFamily("mesh_nodes", .gauge, "Nodes.")])
        Gauge(label: "mesh_nodes", factory: registry).record(5)
        for line in ["x_total 1", "x_gauge 2", "x_total_gauge 3", "y_count_gauge 4", "mesh_nodes_gauge 5"] {
            #expect(samples(registry).contains(line), "\(line)")
        }
        let families = lines(registry).filter { $0.hasPrefix("# TYPE") }.map { $0.split(separator: " ")[2] }
        #expect(Set(families).count == families.count)
    }

    @Test(arguments: [
        ("a.b-c/d", "a_b_c_d"), ("1a", "_1a"), ("", "_"), ("Größe", "Gr____e"), ("__a", "__a"),
    ])
    func anyLabelBecomesAName(label: String, name: String) {
        let registry = MetricRegistry()
        Gauge(label: label, dimensions: [("__x y", "1"), ("le", "2")], factory: registry).record(1)
        #expect(samples(registry) == [name + #"{_x_y="1",le_="2"} 1"#])
    }

    // MARK: Bounds

    @Test func setsOfLabelsBeyondTheBoundAreSummed() {
        let registry = MetricRegistry(.init(seriesPerMetric: 2))
        for number in 0..<10 {
            Counter(label: "x", dimensions: [("node", "n"), ("who", "\(number)")], factory: registry).increment()
        }
        #expect(
            samples(registry) == [
                #"x_total{node="n",who="0"} 1"#, #"x_total{node="n",who="1"} 1"#,
                #"x_total{node="other",who="other"} 8"#,
            ]
        )
        #expect(lines(registry).contains(#"mesh_metrics_summed_total{metric="x"} 8"#))
        // Who has a series keeps it.
        Counter(label: "x", dimensions: [("node", "n"), ("who", "1")], factory: registry).increment()
        #expect(samples(registry).contains(#"x_total{node="n",who="1"} 2"#))
    }

    @Test func allMetricsTogetherAreBounded() {
        let registry = MetricRegistry(.init(series: 50, metrics: 20))
        for metric in 0..<100 {
            for number in 0..<20 {
                Counter(label: "m\(metric)", dimensions: [("n", "\(number)")], factory: registry).increment()
                Timer(label: "t\(metric)", dimensions: [("n", "\(number)")], factory: registry).recordSeconds(1)
            }
        }
        let samples = samples(registry)
        // Each of the 20 has a sum besides; a timer's has 17 lines.
        #expect(samples.count <= 50 + 20 * 17)
        #expect(samples.count { $0.contains(#"n="other""#) } > 10)
        let lost = lines(registry).first { $0.hasPrefix("mesh_metrics_lost_total ") }
        #expect(lost == "mesh_metrics_lost_total \(180 * 20)")
        // All of what has a series or a sum was counted.
        let counted = samples.filter { $0.hasPrefix("m") }
            .compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }
        #expect(counted.reduce(0, +) == 10 * 20)
    }

    @Test func aSeriesThatIsDestroyedMakesRoom() {
        let registry = MetricRegistry(.init(series: 1))
        let first = Counter(label: "x", dimensions: [("n", "1")], factory: registry)
        first.increment()
        first.destroy()
        #expect(samples(registry).isEmpty)
        Counter(label: "x", dimensions: [("n", "2")], factory: registry).increment()
        #expect(samples(registry) == [#"x_total{n="2"} 1"#])
        // The sum stays.
        let third = Counter(label: "x", dimensions: [("n", "3")], factory: registry)
        third.increment()
        third.destroy()
        #expect(samples(registry).contains(#"x_total{n="other"} 1"#))
    }

    @Test func manyThreadsCountTogether() async {
        let registry = MetricRegistry(.init(seriesPerMetric: 10))
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for number in 0..<500 {
                        let who = [("who", "\((task + number) % 20)")]
                        Counter(label: "x", dimensions: who, factory: registry).increment()
                        Timer(label: "t", dimensions: who, factory: registry).recordNanoseconds(1)
                        if number % 100 == 0 { _ = registry.text(.text) }
                    }
                }
            }
        }
        func sum(_ prefix: String) -> Int {
            samples(registry, prefix).compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }.reduce(0, +)
        }
        #expect(sum("x_total") == 4_000 && sum("t_seconds_count") == 4_000)
    }

    // MARK: The library's own

    @Test func everyMetricOfABusIsWritten() async throws {
        let registry = MetricRegistry()
        let mesh = InMemoryMesh()
        let store = InMemoryStore(mesh)
        let bus = try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: store,
            node: "attic",
            busConfiguration: EventBus.Configuration(metrics: registry)
        )
        let subscription = try await bus.bus.subscribe(to: .allUser)
        defer { subscription.cancel() }
        for number in 0..<3 { try await bus.emit("user.a", ["n": JSONValue(number)]) }
        try await eventually("the events to arrive") {
            bus.bus.reportMetrics()
            return samples(registry).contains(#"mesh_events_received_total{node="attic",pattern="events.user.>"} 3"#)
        }
        let stream = bus.configuration.streamName
        #expect(samples(registry).contains(#"mesh_events_acknowledged_total{node="attic",stream="\#(stream)"} 3"#))
        #expect(
            samples(registry).contains(
                #"mesh_events_acknowledgement_duration_seconds_count{node="attic",stream="\#(stream)"} 3"#
            )
        )
        #expect(lines(registry).contains("# HELP mesh_events_received \(EventMetric.received.help)"))
    }

    @Test func everyMetricOfTheLibraryHasAName() {
        let registry = MetricRegistry()
        for metric in EventMetric.allCases {
            switch metric.kind {
            case .counter: Counter(label: metric.rawValue, factory: registry).increment()
            case .gauge: Gauge(label: metric.rawValue, factory: registry).record(1)
            case .timer: Timer(label: metric.rawValue, factory: registry).recordSeconds(1)
            }
            // As it is called here, not changed.
            #expect(samples(registry).contains { $0.hasPrefix(metric.rawValue) }, "\(metric)")
            #expect(!metric.help.isEmpty)
        }
    }
}
