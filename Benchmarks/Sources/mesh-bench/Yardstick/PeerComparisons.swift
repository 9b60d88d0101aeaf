import EventWork
import Foundation

/// Beside what a Python user would pick: nats-py with orjson, in a process of its own.
struct PeerComparisons {
    let options: Options
    let url: String

    /// Prints the rows; there are no goals.
    func report() async throws {
        let environment = ProcessInfo.processInfo.environment
        guard let python = environment["MESH_BENCH_PYTHON"], let script = environment["MESH_BENCH_PEER"] else {
            print("   beside nats-py + orjson: not measured; Benchmarks/run.sh sets up what is needed")
            return
        }
        let events = try await EventMeasures(url: url)
        let many = options.count(200_000)
        let some = options.count(100_000)
        func peer(_ what: String, _ count: Int) -> Measure {
            { [url] in
                let output = try await onThread {
                    try ChildProcess.output(of: python, [script, what, url, "\(count)"])
                }
                guard let rate = Double(output.trimmingCharacters(in: .whitespacesAndNewlines)) else {
                    throw BenchmarkError("the Python peer said \(output)")
                }
                return [rate]
            }
        }
        func row(_ name: String) -> Goal {
            Goal(name: "   \(name)", yardstick: "nats-py + orjson", bound: .none, unit: .rate)
        }
        _ = try await options.compare(
            [row("emit core")],
            ours: events.emit(many),
            yardstick: peer("emit", many)
        )
        _ = try await options.compare(
            [row("emit to handler")],
            ours: events.handle(some),
            yardstick: peer("handle", some)
        )
    }
}
