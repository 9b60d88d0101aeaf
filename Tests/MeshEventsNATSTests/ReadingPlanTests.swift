import MeshEvents
import TestSupport
import Testing

@testable import MeshEventsNATS
@testable import NATSClient

/// The plan of a reading without consumers, over links of counted time.
@Suite("The plan of a reading without consumers")
struct ReadingPlanTests {
    /// A server that answers one request after the other, behind a line.
    private struct Link {
        let roundTrip: Double
        var bytesPerSecond = Double.infinity
        /// The matches.
        let sequences: [UInt64]
        let size: Int

        /// When the line is free again, and what it has carried.
        var (now, free) = (0.0, 0.0)
        var (requests, mostUnderWay, bytes) = (0, 0, 0.0)
        private var underWay: [(start: UInt64, sent: Double, arrival: Double)] = []

        init(_ sequences: [UInt64], size: Int, roundTrip: Double, bytesPerSecond: Double = .infinity) {
            (self.sequences, self.size) = (sequences, size)
            (self.roundTrip, self.bytesPerSecond) = (roundTrip, bytesPerSecond)
        }

        var isIdle: Bool { underWay.isEmpty }

        /// What all of it takes.
        var ideal: Double { Double(sequences.count * (size / 3 * 4 + 256)) }

        private func match(from start: UInt64) -> UInt64? {
            var (low, high) = (0, sequences.count)
            while low < high {
                let middle = (low + high) / 2
                if sequences[middle] < start { low = middle + 1 } else { high = middle }
            }
            return low < sequences.count ? sequences[low] : nil
        }

        mutating func send(_ start: UInt64) {
            let length = match(from: start) == nil ? 100 : Double(size / 3 * 4 + 256)
            free = max(free, now + roundTrip / 2) + length / bytesPerSecond
            bytes += length
            requests += 1
            underWay.append((start, now, free + roundTrip / 2))
            mostUnderWay = max(mostUnderWay, underWay.count)
        }

        mutating func receive() -> (start: UInt64, message: StreamMessage?, took: Duration) {
            let next = underWay.removeFirst()
            now = next.arrival
            let message = match(from: next.start).map {
                StreamMessage(
                    subject: "s",
                    sequence: $0,
                    time: "",
                    headerBlock: [],
                    payload: Array(repeating: 0, count: size)
                )
            }
            return (next.start, message, .seconds(now - next.sent))
        }
    }

    /// Reads all, with a pause every now and then, as a replay does.
    private static func read(
        _ plan: inout ReadingPlan,
        _ link: inout Link,
        limit: Int = .max,
        bytes: Int = .max,
        handingOverEvery pause: Double? = nil,
        losing isLost: () -> Bool = { false }
    ) throws -> [UInt64] {
        var read: [UInt64] = []
        var wanted = limit
        var steps = 0
        while !plan.isDone || plan.hasMessages, wanted > 0 {
            let end = pause.map { link.now + $0 } ?? .infinity
            while true {
                while link.now < end, let start = plan.next(limit: wanted, maximumBytes: bytes) { link.send(start) }
                if link.isIdle { break }
                let answer = link.receive()
                if isLost() {
                    plan.fail(answer.start)
                } else {
                    plan.answer(answer.message, to: answer.start, after: answer.took)
                }
            }
            #expect(plan.underWay == 0)
            let part = plan.take(wanted)
            wanted -= part.messages.count
            let sequences = part.messages.map(\.sequence)
            read = plan.order == .oldestFirst ? read + sequences : sequences + read
            if bytes < .max { break }
            // A look at the stream.
            if pause != nil { link.now += link.roundTrip }
            steps += 1
            try #require(steps < 10_000)
        }
        return read
    }

    @Test("a long way: about as many round trips as there are times 64 messages", arguments: [0.1, 0.2, 0.6])
    func longWay(roundTrip: Double) throws {
        for order in [ReadingPlan.Order.oldestFirst, .newestFirst] {
            var plan = ReadingPlan(1..<307, order, distance: 1, size: 100)
            var link = Link(Array(1...306), size: 100, roundTrip: roundTrip)
            let read = try Self.read(&plan, &link, handingOverEvery: order == .oldestFirst ? 1 : nil)
            #expect(read == Array(1...306))
            #expect(link.requests == 306, "nothing is asked for twice")
            #expect(link.now < 16 * roundTrip, "\(link.now) s")
        }
    }

    @Test("a slow line: its time, its bytes, little ahead", arguments: [1_000, 20_000, 200_000])
    func slowLine(size: Int) throws {
        for hint in [nil, size] {
            for order in [ReadingPlan.Order.oldestFirst, .newestFirst] {
                var plan = ReadingPlan(1..<101, order, distance: 1, size: hint)
                var link = Link(Array(1...100), size: size, roundTrip: 0.1, bytesPerSecond: 50_000)
                let read = try Self.read(&plan, &link, handingOverEvery: order == .oldestFirst ? 1 : nil)
                #expect(read == Array(1...100) && link.requests == 100)
                #expect(link.now * 50_000 < link.ideal / 0.7, "\(size): \(link.now) s for \(link.ideal) bytes")
                if let hint { #expect(link.mostUnderWay <= max(2, 128_000 / hint), "\(link.mostUnderWay)") }
            }
        }
    }

    @Test("the answers of a line that grows slow take the requests back")
    func slower() throws {
        var plan = ReadingPlan(1..<2_001, .oldestFirst, distance: 1, size: 5_000)
        var link = Link(Array(1...2_000), size: 5_000, roundTrip: 0.1, bytesPerSecond: 10_000_000)
        _ = try Self.read(&plan, &link, limit: 1_000)
        #expect(plan.pace.width == RequestPace.most)
        link.bytesPerSecond = 10_000
        _ = try Self.read(&plan, &link, limit: 500)
        #expect(plan.pace.width <= 4)
        link.bytesPerSecond = 10_000_000
        _ = try Self.read(&plan, &link, limit: 500)
        #expect(plan.pace.width == RequestPace.most)
        #expect(link.requests == 2_000)
    }

    @Test("few matches, in clusters or alone: less than half comes twice", arguments: [2, 3, 10, 100, 5_000])
    func sparse(distance: UInt64) throws {
        var generator = SeededGenerator(seed: distance)
        let scattered = (0..<2_000).map { _ in UInt64.random(in: 1...2_000 * distance, using: &generator) }
        let clusters = (0..<100).flatMap { cluster in (1...20).map { UInt64(cluster) * 20 * distance + $0 } }
        let regular = (1...2_000).map { $0 * distance }
        for sequences in [Array(Set(scattered)).sorted(), clusters, regular] {
            for order in [ReadingPlan.Order.oldestFirst, .newestFirst] {
                var plan = ReadingPlan(1..<2_000 * distance + 1, order)
                var link = Link(sequences, size: 500, roundTrip: 0.1)
                let read = try Self.read(&plan, &link, handingOverEvery: order == .oldestFirst ? 1 : nil)
                #expect(read == sequences)
                #expect(link.bytes < 1.5 * link.ideal, "\(distance), \(order): \(link.bytes / link.ideal)")
                #expect(link.now < 0.1 * 2_000 / 6, "\(distance), \(order): \(link.now) s")
            }
        }
    }

    @Test("a limit, or one of bytes: little more is asked for")
    func limits() throws {
        for order in [ReadingPlan.Order.oldestFirst, .newestFirst] {
            for limit in [1, 7, 50] {
                var plan = ReadingPlan(1..<1_001, order, distance: 1, size: 1_000)
                var link = Link(Array(1...1_000), size: 1_000, roundTrip: 0.1)
                let read = try Self.read(&plan, &link, limit: limit)
                #expect(read.count == limit && link.requests == limit)
                #expect(order == .oldestFirst ? read.first == 1 : read.last == 1_000)
            }
            var plan = ReadingPlan(1..<1_001, order, distance: 1, size: 100_000)
            var link = Link(Array(1...1_000), size: 100_000, roundTrip: 0.1)
            let read = try Self.read(&plan, &link, bytes: 2_000_000)
            #expect((20...22).contains(read.count) && link.requests == read.count)
        }
    }

    @Test("any matches, losses and hand-overs: each once, in order; what grows comes too")
    func anything() throws {
        for seed in 0..<300 {
            var generator = SeededGenerator(seed: UInt64(seed))
            let span = UInt64.random(in: 1...3_000, using: &generator)
            let density = UInt64.random(in: 1...40, using: &generator)
            let sequences = (1...span + 200).filter { _ in UInt64.random(in: 0..<density, using: &generator) == 0 }
            let order = Bool.random(using: &generator) ? ReadingPlan.Order.oldestFirst : .newestFirst
            let lower = UInt64.random(in: 1...span, using: &generator)
            let hint = Bool.random(using: &generator) ? Double(density) : nil
            var plan = ReadingPlan(lower..<span + 1, order, distance: hint)
            var link = Link(sequences, size: 10, roundTrip: 0.1)
            let pause = Bool.random(using: &generator) ? 0.15 : nil
            var read = try Self.read(&plan, &link, handingOverEvery: pause) {
                Int.random(in: 0..<4, using: &generator) == 0
            }
            var end = span
            if order == .oldestFirst {
                end += 150
                plan.extend(to: end + 1)
                read += try Self.read(&plan, &link)
            }
            #expect(read == sequences.filter { lower <= $0 && $0 <= end }, "\(seed)")
        }
    }

    @Test("what lies behind a request that is lost is kept, and not asked for again")
    func kept() throws {
        var plan = ReadingPlan(1..<11, .oldestFirst, distance: 1, size: 10)
        var link = Link(Array(1...10), size: 10, roundTrip: 0.1)
        while let start = plan.next(limit: .max, maximumBytes: .max) { link.send(start) }
        #expect(link.requests == 10)
        while !link.isIdle {
            let answer = link.receive()
            guard answer.start > 1 else {
                plan.fail(1)
                continue
            }
            plan.answer(answer.message, to: answer.start, after: answer.took)
        }
        #expect(!plan.hasMessages && plan.reached == 1 && plan.firstHeld == 2)
        #expect(plan.next(limit: .max, maximumBytes: .max) == 1)
        #expect(plan.next(limit: .max, maximumBytes: .max) == nil)
        // The stream has dropped it meanwhile.
        plan.fail(1)
        plan.skip(below: 2)
        #expect(plan.isDone && plan.take().messages.map(\.sequence) == Array(2...10))
    }

    @Test("the last sequences there can be")
    func last() throws {
        for order in [ReadingPlan.Order.oldestFirst, .newestFirst] {
            var plan = ReadingPlan(UInt64.max - 3..<UInt64.max, order)
            var link = Link([.max - 2, .max - 1], size: 10, roundTrip: 0.1)
            #expect(try Self.read(&plan, &link) == [.max - 2, .max - 1])
        }
    }
}
