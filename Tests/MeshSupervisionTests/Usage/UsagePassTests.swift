import MeshEvents
import Testing

@testable import MeshSupervision

/// Samples of processes that a test makes up.
@Suite("Samples one after the other")
struct UsagePassTests {
    /// Three programs, of which one has two processes.
    private struct Source: ProcessSource {
        var ticksPerSecond = 100.0
        var passesIOOn = true
        var now: UInt64 = 1_000
        var own = (pid: Int32(10), session: Int32(10), group: Int32(10))

        mutating func processes() -> [ProcessSample]? {
            defer { now += 100 }
            guard now != 1_200 else { return nil }
            return [(20, 1), (21, 20), (30, 1), (40, 1), (10, 1)].map { pid, parent in
                ProcessSample(
                    pid: pid,
                    parent: parent,
                    group: pid,
                    session: 10,
                    start: 900,
                    ticks: now - 900,
                    threads: 1
                )
            }
        }

        mutating func io(of pid: Int32) -> Readable<ProcessIO> { .value(ProcessIO(read: 1 << 20, written: 0)) }
        mutating func files(of pid: Int32) -> Readable<Int> { pid == 40 ? .refused : .value(1) }
        mutating func marks(of pid: Int32) -> InheritedMarks { InheritedMarks() }
    }

    private let programs: [String: ToolUsageSampler.Program] = [
        "a": .init(pid: 20), "b": .init(pid: 30), "c": .init(pid: 40),
    ]

    @Test("each program has its own figures, and a sample that cannot be taken leaves the last ones")
    func several() {
        var pass = UsagePass(source: Source())
        for number in 0..<4 {
            let result = pass.run(programs)
            #expect(result.names == [20: "a", 21: "a", 30: "b", 40: "c"], "\(number)")
            #expect(result.usage["a"]?.processes == 2 && result.usage["a"]?.readMB == 2 && result.usage["a"]?.cpu == 2)
            #expect(result.usage["b"]?.files == 1 && result.usage["c"]?.files == nil && result.usage["c"]?.cpu == 1)
        }
        #expect(pass.run(["b": .init(pid: 30), "none": .init(pid: 99)]).usage.keys.sorted() == ["b"])
    }

    @Test("figures are read again only when they are too old, and those of another run are none of this one")
    func age() {
        let sampler = ToolUsageSampler(maximumAge: .seconds(3_600), source: Source())
        let first = sampler.usage(of: programs)
        #expect(first.count == 3 && sampler.usage(of: programs) == first)
        #expect(sampler.usage(of: ["a": .init(pid: 21), "b": .init(pid: 30)]).keys.sorted() == ["b"])
        #expect(sampler.usage(of: [:]).isEmpty)
    }
}
