import Testing

@testable import NATSClient

/// Readings over a link of some rate and delay, as a server serves them: each message to the next of the requests that wait,
/// a request ended when the next message does not fit into its bytes. Time is counted, none passes.
@Suite("What is asked for ahead")
struct PullWindowTests {
    /// A link with a stream at its other end.
    private struct Link {
        let bytesPerSecond: Double
        let roundTrip: Double
        var sizes: [Int]

        /// What a reading of the whole took.
        struct Outcome {
            var seconds = 0.0
            var requests = 0
            var mostUnderWay = 0
        }

        /// Reads everything.
        func read(most: Int = 16 << 20) -> Outcome {
            let start = ContinuousClock.now
            var window = PullWindow(most: most, maximumPayload: 1 << 20)
            var outcome = Outcome()
            var (now, wire) = (0.0, 0.0)
            // What the server has to serve, what is on its way, and requests on their way.
            var waiting: [PullWindow.Request] = []
            var arrivals: [(at: Double, size: Int?, unfilled: Int)] = []
            var requests: [(at: Double, request: PullWindow.Request)] = []
            var (served, received, outstanding) = (0, 0, 0)
            var arrived = 0
            // Bytes.
            var (sent, taken) = (0, 0)
            func instant(_ seconds: Double) -> ContinuousClock.Instant { start + .seconds(seconds) }
            func ask() {
                let missing = sizes.count - received - outstanding
                guard missing > 0 else { return }
                guard let next = window.next(outstanding: outstanding, missing: missing, at: instant(now)) else {
                    return
                }
                outstanding += next.messages
                outcome.requests += 1
                requests.append((now + roundTrip / 2, next))
            }
            func serve() {
                while !waiting.isEmpty, served < sizes.count {
                    var request = waiting.removeFirst()
                    guard sizes[served] <= request.bytes else {
                        arrivals.append((max(now, wire) + roundTrip / 2, nil, request.messages))
                        continue
                    }
                    request.bytes -= sizes[served]
                    request.messages -= 1
                    wire = max(now, wire) + Double(sizes[served]) / bytesPerSecond
                    arrivals.append((wire + roundTrip / 2, sizes[served], 0))
                    sent += sizes[served]
                    served += 1
                    if request.messages > 0 { waiting.append(request) }
                }
                let underWay = sent - taken
                outcome.mostUnderWay = max(outcome.mostUnderWay, underWay)
            }
            ask()
            while received < sizes.count {
                if let next = requests.first, arrived == arrivals.count || next.at <= arrivals[arrived].at {
                    requests.removeFirst()
                    now = next.at
                    waiting.append(next.request)
                    serve()
                    continue
                }
                guard arrived < arrivals.count else { break }
                let arrival = arrivals[arrived]
                arrived += 1
                now = arrival.at
                if let size = arrival.size {
                    (received, outstanding) = (received + 1, outstanding - 1)
                    taken += size
                    window.took(size, at: instant(now))
                } else {
                    outstanding -= arrival.unfilled
                    if outstanding == 0 { window.ended() }
                }
                ask()
            }
            outcome.seconds = received == sizes.count ? now : .infinity
            return outcome
        }

        /// What the bytes alone take.
        var ideal: Double { Double(sizes.reduce(0, +)) / bytesPerSecond }
    }

    @Test(
        "a long reading is as fast as the link, whatever the round trip is",
        arguments: [20_000.0, 150_000.0, 1_000_000.0, 10_000_000.0],
        [0.0, 0.02, 0.1, 0.4]
    )
    func fast(rate: Double, roundTrip: Double) {
        for size in [200, 1_200, 60_000] {
            let link = Link(
                bytesPerSecond: rate,
                roundTrip: roundTrip,
                sizes: Array(repeating: size, count: min(max(Int(rate) * 30 / size, 20), 20_000))
            )
            let outcome = link.read()
            // Some round trips go by until the link is known.
            #expect(
                outcome.seconds < link.ideal * 1.1 + 10 * roundTrip,
                "\(size) bytes: \(outcome), ideal \(link.ideal)"
            )
            // The server must not have to send for ten seconds what it was asked for.
            #expect(Double(outcome.mostUnderWay) < max(rate * 4, 262_144), "\(size) bytes: \(outcome)")
        }
    }

    @Test("messages of all sizes come, in few more requests than they need", arguments: [0.0, 0.1])
    func mixed(roundTrip: Double) {
        var random = SystemRandomNumberGenerator()
        let sizes = (0..<400).map { _ in [100, 100, 5_000, 60_000, 900_000].randomElement(using: &random) ?? 100 }
        let link = Link(bytesPerSecond: 1_000_000, roundTrip: roundTrip, sizes: sizes)
        let outcome = link.read()
        #expect(outcome.seconds < link.ideal * 1.25 + 10 * roundTrip, "\(outcome), ideal \(link.ideal)")
        #expect(outcome.requests < 700, "\(outcome)")
    }

    @Test("a large message on a slow link is not behind another one")
    func slowAndLarge() {
        let link = Link(bytesPerSecond: 20_000, roundTrip: 0.1, sizes: Array(repeating: 900_000, count: 5))
        let outcome = link.read()
        #expect(outcome.mostUnderWay < 1_000_000)
        #expect(outcome.seconds < link.ideal * 1.05)
    }

    @Test("a message larger than all before it is asked for by itself; one that fits into no request is found out")
    func blocked() {
        var window = PullWindow(most: 16 << 20, maximumPayload: 1 << 20)
        let first = window.next(outstanding: 0, missing: 1_000)
        #expect(first?.messages == 128)
        let found = window.ended()
        #expect(!found)
        #expect(window.next(outstanding: 0, missing: 1_000) == .init(messages: 1, bytes: (1 << 20) + 64 << 10 | 1))
        let foundAsLargeAsTheServerTakes = window.ended()
        #expect(!foundAsLargeAsTheServerTakes)
        #expect(window.next(outstanding: 0, missing: 1_000)?.bytes ?? 0 > 65 << 20)
        let foundOut = window.ended()
        #expect(foundOut)
    }

    @Test("whatever a server claims to take", arguments: [Int.min, -1, 0, 1 << 40, .max])
    func claims(payload: Int) {
        var window = PullWindow(most: 16 << 20, maximumPayload: payload)
        #expect(window.next(outstanding: 0, missing: 1) != nil)
        window.ended()
        let bytes = window.next(outstanding: 0, missing: 1)?.bytes ?? 0
        #expect(bytes > 64 << 10 && bytes <= 66 << 20)
    }

    @Test("no more bytes are asked for than are wanted, and counts at their limits are no trap")
    func wanted() {
        var window = PullWindow(most: 16 << 20, maximumPayload: nil)
        _ = window.next(outstanding: 0, missing: .max)
        for _ in 0..<128 { window.took(1_000) }
        #expect(window.next(outstanding: 0, missing: .max, wanted: 10_000)?.messages == 11)
        #expect(!window.isDue(outstanding: 11, wanted: 10_000))
        #expect(!window.isDue(outstanding: .max))
    }

    @Test("a reader that takes its time before the next request does not make the link slow")
    func idle() {
        let begun = ContinuousClock.now
        var window = PullWindow(most: 16 << 20, maximumPayload: 1 << 20)
        _ = window.next(outstanding: 0, missing: 1_000, at: begun)
        window.took(messages: 10, bytes: 200_000, largest: 20_000, at: begun + .seconds(1))
        let before = window.next(outstanding: 0, missing: 1_000, at: begun + .seconds(1))
        window.took(messages: 10, bytes: 200_000, largest: 20_000, at: begun + .seconds(2))
        let after = window.next(outstanding: 0, missing: 1_000, at: begun + .seconds(62))
        #expect(before?.bytes == 250_001 && after?.bytes ?? 0 >= 200_000)
    }
}
