import Benchmark
import EventWork
import MeshEvents

// The steps of the codec, each alone. A sample is 1 000 events; the figures are of one.
let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock, .throughput],
        scalingFactor: .kilo,
        maxDuration: .seconds(2)
    )
    let type = EventType.nodeHealth
    let event = Event(type, node: Work.node, timestamp: .now, data: Work.data(123_456))

    Benchmark("build: data from a literal") { benchmark in
        for number in benchmark.scaledIterations { blackHole(Work.data(number)) }
    }
    Benchmark("build: data from a typed payload") { benchmark in
        for number in benchmark.scaledIterations { blackHole(try Work.health(number).eventData()) }
    }
    Benchmark("build: an event type from text") { benchmark in
        let text = "user.training.complete"
        for _ in benchmark.scaledIterations { blackHole(try EventType(text)) }
    }
    Benchmark("encode: an event into bytes") { benchmark in
        let encoder = EventEncoder()
        for _ in benchmark.scaledIterations { blackHole(try encoder.encode(event)) }
    }
    Benchmark("encode: a timestamp as text") { benchmark in
        for _ in benchmark.scaledIterations { blackHole(Timestamp.now.description) }
    }
    Benchmark("decode: a message") { benchmark in
        let payload = try Work.payload()
        var decoder = EventDecoder()
        benchmark.startMeasurement()
        try Array(Work.subject.utf8).withUnsafeBytes { subject in
            try payload.withUnsafeBytes { payload in
                for _ in benchmark.scaledIterations {
                    blackHole(try decoder.decode(subject: subject.bytes, payload: payload.bytes, received: .now))
                }
            }
        }
    }
    Benchmark("read: a field of the data") { benchmark in
        for _ in benchmark.scaledIterations { blackHole(event.data["status"]?.string) }
    }
    Benchmark("read: a nested field") { benchmark in
        for _ in benchmark.scaledIterations { blackHole(event.data["resources"]?["seq"]?.int) }
    }
    Benchmark("read: three conditions of a filter") { benchmark in
        let filter = try EventFilter("resources.cpu > 0.4", "status in offline, on*", "resources.seq = 123456")
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations { blackHole(filter.matches(event)) }
    }
    Benchmark("read: all of the data as a value") { benchmark in
        for _ in benchmark.scaledIterations { blackHole(event.data.value) }
    }
    Benchmark("read: a typed payload") { benchmark in
        for _ in benchmark.scaledIterations { blackHole(try event.payload(as: NodeHealth.self)) }
    }
}
