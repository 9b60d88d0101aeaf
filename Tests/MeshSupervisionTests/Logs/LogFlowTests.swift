import Testing

@testable import MeshSupervision

/// A link that carries bytes in order, and readers behind it that want all they can get. Time is a number here.
private struct LinkModel {
    struct Reader {
        /// How long it takes for a chunk; `nil`: it acknowledges nothing.
        var pause: Duration? = .zero
        var free: LogFlow.Instant
        var sent: UInt64 = 0
        var bytes = 0
    }

    /// Bytes a second.
    var rate: Double
    /// From the node to a reader, and back.
    var latency: Duration
    /// How many bytes a chunk has for what it may have.
    var length: @Sendable (LogFlow.Grant) -> Int = { $0.bytes + 250 }
    var flow = LogFlow()
    private(set) var readers: [String: Reader] = [:]
    private(set) var now = ContinuousClock.now
    /// When all that was sent has passed the link.
    private(set) var free = ContinuousClock.now
    private var receipts: [(at: LogFlow.Instant, reader: String, number: UInt64)] = []
    /// The longest that a health event would have waited.
    private(set) var longestWait: Duration = .zero

    init(_ rate: Double, _ latency: Duration = .milliseconds(1), readers: Int = 0) {
        (self.rate, self.latency) = (rate, latency)
        for number in 0..<readers { join("r\(number)") }
    }

    mutating func join(_ name: String, pause: Duration? = .zero) {
        readers[name] = Reader(pause: pause, free: now)
        flow.join(name)
    }

    /// Forgets what was measured.
    mutating func measure() {
        longestWait = .zero
        for name in readers.keys { readers[name]?.bytes = 0 }
    }

    mutating func run(for duration: Duration) {
        let end = now + duration
        while now < end {
            for name in readers.keys.sorted() { while send(name) {} }
            // A server of logs wakes the one whose turn it is.
            while let name = flow.next(at: now), send(name) {}
            let next = receipts.indices.min { receipts[$0].at < receipts[$1].at }
            // Without receipts, readers look again when chunks have lost their room.
            let idle = now + .milliseconds(100)
            guard let next, receipts[next].at <= idle else {
                now = idle
                continue
            }
            let receipt = receipts.remove(at: next)
            now = max(now, receipt.at)
            flow.acknowledge(receipt.number, by: receipt.reader, at: now)
        }
    }

    @discardableResult
    private mutating func send(_ name: String) -> Bool {
        guard case .send(let grant) = flow.admit(name, at: now), var reader = readers[name] else { return false }
        let bytes = length(grant)
        flow.sent(bytes, to: name, at: now)
        free = max(free, now) + .seconds(Double(bytes) / rate)
        longestWait = max(longestWait, free - now)
        reader.sent += 1
        if let pause = reader.pause {
            reader.bytes += bytes
            reader.free = max(reader.free, free + latency) + pause
            receipts.append((reader.free + latency, name, reader.sent))
        }
        readers[name] = reader
        return true
    }

    /// What arrived at readers in all, and at the one with the least and the most.
    var bytes: (all: Int, least: Int, most: Int) {
        let all = readers.values.map(\.bytes)
        return (all.reduce(0, +), all.min() ?? 0, all.max() ?? 0)
    }
}

@Suite("Log flow") struct LogFlowTests {
    @Test(
        "a health event waits no more than two seconds behind logs, and the link is used",
        arguments: [10_000.0, 50_000, 1_000_000, 100_000_000],
        [1, 3, 16]
    )
    func links(rate: Double, readers: Int) {
        for latency in [Duration.milliseconds(1), .milliseconds(40), .milliseconds(300)] {
            var model = LinkModel(rate, latency, readers: readers)
            // Less of a quick one is enough.
            let isQuick = rate >= 1_000_000
            model.run(for: isQuick ? .seconds(1) + latency * 20 : .seconds(30))
            #expect(model.longestWait < .seconds(2), "\(latency)")
            model.measure()
            let duration = isQuick ? .milliseconds(500) + latency * 6 : .seconds(20)
            model.run(for: duration)
            #expect(model.longestWait < .seconds(2), "\(latency)")
            // What is not acknowledged is bounded, and so is what comes over a long line.
            let roundTrip: Double = 2 * (latency / .seconds(1))
            let bound = Double(min(1 << 20, readers * 4 * (48 << 10))) / roundTrip
            let share = Double(model.bytes.all) / (duration / .seconds(1)) / min(rate, bound)
            #expect(share > 0.75, "\(share) at \(latency)")
            #expect(Double(model.bytes.least) > 0.6 * Double(model.bytes.most), "\(model.bytes) at \(latency)")
        }
    }

    @Test("a reader that acknowledges nothing takes no share of the others", arguments: [10_000.0, 2_000_000])
    func silent(rate: Double) {
        var model = LinkModel(rate)
        for number in 0..<8 { model.join("silent\(number)", pause: nil) }
        model.join("reader")
        model.run(for: .seconds(20))
        #expect(model.longestWait < .seconds(2))
        model.measure()
        model.run(for: .seconds(10))
        #expect(Double(model.bytes.all) > 8.5 * rate, "\(model.bytes.all)")
        // And gets no more than it had at the beginning.
        for (name, reader) in model.readers where name != "reader" { #expect((1...4).contains(reader.sent)) }
    }

    @Test("a slow reader slows no other one down")
    func slow() {
        var model = LinkModel(2_000_000)
        model.join("slow", pause: .seconds(3))
        model.run(for: .seconds(20))
        model.join("reader")
        model.run(for: .seconds(5))
        model.measure()
        model.run(for: .seconds(20))
        #expect(Double(model.readers["reader"]?.bytes ?? 0) > 0.85 * 20 * 2_000_000)
        #expect(model.readers["slow"]?.bytes ?? 0 > 0)
    }

    @Test("a reader behind a slow line of its own has little on its way, whatever the others have")
    func slowLine() {
        var flow = LogFlow()
        var now = ContinuousClock.now
        for name in ["far", "near"] { flow.join(name) }
        var (far, near): (UInt64, UInt64) = (0, 0)
        var pending: [(at: LogFlow.Instant, number: UInt64)] = []
        var (free, longest) = (now, Duration.zero)
        for _ in 0..<60_000 {
            now += .milliseconds(1)
            near += fill(&flow, "near", at: now)
            flow.acknowledge(near, by: "near", at: now + .microseconds(100))
            if case .send(let grant) = flow.admit("far", at: now) {
                far += 1
                flow.sent(grant.bytes, to: "far", at: now)
                free = max(free, now) + .seconds(Double(grant.bytes) / 10_000)
                longest = max(longest, free - now)
                pending.append((free, far))
            }
            while let first = pending.first, first.at <= now {
                flow.acknowledge(first.number, by: "far", at: now)
                pending.removeFirst()
            }
        }
        #expect(longest < .seconds(2.5), "\(longest)")
        #expect(far > 100 && flow.limit > 500_000, "\(far) chunks, \(flow.limit)")
    }

    @Test("a link that becomes slow holds up others once, for what was on its way; one that becomes quick is used")
    func change() {
        var model = LinkModel(1_000_000, readers: 3)
        model.run(for: .seconds(20))
        #expect(model.longestWait < .seconds(2))
        model.rate = 10_000
        model.run(for: .seconds(200))
        model.measure()
        model.run(for: .seconds(20))
        #expect(model.longestWait < .seconds(2))
        model.rate = 1_000_000
        model.run(for: .seconds(10))
        model.measure()
        model.run(for: .seconds(10))
        #expect(model.bytes.all > 8_500_000, "\(model.bytes)")
    }

    @Test("long lines: few at a time, cut where the link is slow, whole where it is quick")
    func longLines() {
        for readers in [1, 3, 16] {
            var model = LinkModel(10_000, readers: readers)
            model.length = { min(max($0.bytes, 40_000), $0.longest) }
            model.run(for: .seconds(60))
            model.measure()
            model.run(for: .seconds(60))
            #expect(model.longestWait < .seconds(2.5), "\(model.longestWait)")
            #expect(model.bytes.all > 480_000)
        }
        var quick = LinkModel(10_000_000)
        quick.join("a")
        quick.run(for: .seconds(1))
        guard case .send(let grant) = quick.flow.admit("a", at: quick.now + .seconds(1)) else {
            Issue.record("nothing may be sent")
            return
        }
        #expect(grant == LogFlow.Grant(bytes: 48 << 10, longest: 48 << 10))
    }

    // MARK: Calls

    /// Sends what a reader may; the number of chunks.
    private func fill(_ flow: inout LogFlow, _ reader: String, at now: LogFlow.Instant) -> UInt64 {
        var count: UInt64 = 0
        while case .send(let grant) = flow.admit(reader, at: now) {
            flow.sent(grant.bytes, to: reader, at: now)
            count += 1
        }
        return count
    }

    @Test("numbers that a reader cannot mean change nothing")
    func numbers() {
        var flow = LogFlow()
        let now = ContinuousClock.now
        flow.join("a")
        #expect(flow.owingSince("a") == nil)
        let count = fill(&flow, "a", at: now)
        #expect(count == 4 && flow.owingSince("a") == now)
        for number in [0, count + 1, .max] { flow.acknowledge(number, by: "a", at: now + .seconds(1)) }
        flow.acknowledge(1, by: "other", at: now + .seconds(1))
        let full = flow.admit("a", at: now)
        #expect(flow.owingSince("a") == now && full == .wait(until: nil))
        flow.acknowledge(2, by: "a", at: now + .milliseconds(1))
        flow.acknowledge(1, by: "a", at: now + .milliseconds(2))
        #expect(flow.owingSince("a") == now + .milliseconds(1))
        flow.acknowledge(count, by: "a", at: now + .milliseconds(3))
        #expect(flow.owingSince("a") == nil)
    }

    @Test("readers that wait take turns, and the next one is named when there is room")
    func turns() {
        var flow = LogFlow()
        let now = ContinuousClock.now
        for name in ["a", "b", "c"] { flow.join(name) }
        let count = fill(&flow, "a", at: now)
        let room = LogFlow.Admission.wait(until: now + LogFlow.patience)
        let (second, third) = (flow.admit("b", at: now), flow.admit("c", at: now))
        #expect(second == room && third == room)
        #expect(flow.next(at: now) == nil)
        flow.acknowledge(count, by: "a", at: now + .milliseconds(1))
        #expect(flow.next(at: now + .milliseconds(1)) == "b")
        // Not before its turn.
        if case .send = flow.admit("c", at: now + .milliseconds(1)) { Issue.record("c before b") }
        guard case .send = flow.admit("b", at: now + .milliseconds(1)) else {
            Issue.record("b does not get its turn")
            return
        }
        // Room is kept for the longest line.
        #expect(flow.next(at: now + .milliseconds(1)) == nil)
        flow.sent(0, to: "b", at: now + .milliseconds(1))
        #expect(flow.next(at: now + .milliseconds(1)) == "c")
        let hasLeft = flow.leave("c")
        #expect(!hasLeft)
        #expect(flow.next(at: now + .milliseconds(1)) == nil)
    }

    @Test("what a reader that is gone has left takes room until the server has it, or for a while")
    func left() {
        var flow = LogFlow()
        let now = ContinuousClock.now
        for name in ["a", "b"] { flow.join(name) }
        _ = fill(&flow, "a", at: now)
        let (hasLeft, other) = (flow.leave("a"), flow.admit("b", at: now))
        #expect(hasLeft && other == .wait(until: now + LogFlow.patience))
        #expect(flow.next(at: now + .seconds(1)) == nil)
        #expect(flow.next(at: now + LogFlow.patience) == "b")
        flow.forget("a")
        #expect(flow.next(at: now) == "b")
        let gone = flow.admit("a", at: now)
        #expect(gone == .wait(until: nil))
    }

    @Test("what was learned is forgotten without use")
    func memory() {
        var model = LinkModel(10_000_000, readers: 1)
        let start = model.flow.limit
        model.run(for: .seconds(5))
        let grown = model.flow.limit
        #expect(grown > 10 * start)
        _ = model.flow.admit("r0", at: model.now + .seconds(5))
        #expect(model.flow.limit == grown)
        _ = model.flow.admit("r0", at: model.now + .seconds(25))
        #expect((grown / 4...grown / 2).contains(model.flow.limit))
        _ = model.flow.admit("r0", at: model.now + .seconds(86_400 * 365))
        #expect(model.flow.limit == start)
    }
}
