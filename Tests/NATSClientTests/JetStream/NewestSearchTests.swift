import NATSClient
import Testing

/// A stream in memory: which sequences exist and match.
private struct SimulatedStream {
    var first: UInt64
    var last: UInt64
    /// Sequences that match, ascending.
    var matches: [UInt64]

    /// How many match from `start` on.
    func count(from start: UInt64) -> UInt64 {
        UInt64(matches.count - matches.partitioningIndex { $0 >= start })
    }

    /// What reading from `start` yields of the newest below `before`.
    func newest(_ limit: Int, from start: UInt64, before: UInt64?) -> [UInt64] {
        let end = before.map { bound in matches.partitioningIndex { $0 >= bound } } ?? matches.count
        let begin = matches.partitioningIndex { $0 >= start }
        return begin < end ? Array(matches[begin..<end].suffix(limit)) : []
    }
}

extension [UInt64] {
    fileprivate func partitioningIndex(_ belongsAbove: (UInt64) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if belongsAbove(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

/// A generator with a seed, so that a failure can be repeated.
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

private struct Outcome {
    var start: UInt64
    var probes: Int
    var rounds: Int
}

/// Runs a search to its end; `between` may change the stream after each round.
private func run(
    _ search: NewestSearch,
    on stream: inout SimulatedStream,
    between: (inout SimulatedStream) -> Void = { _ in }
) -> Outcome {
    var search = search
    var probes = 0
    var rounds = 0
    while rounds < 1_000 {
        switch search.next() {
        case .read(let start): return Outcome(start: start, probes: probes, rounds: rounds)
        case .probe(let starts):
            rounds += 1
            probes += starts.count
            for start in starts.shuffled() { search.answer(start: start, matching: stream.count(from: start)) }
            between(&stream)
        }
    }
    return Outcome(start: 0, probes: probes, rounds: rounds)
}

private func stream(_ count: UInt64, oneIn density: UInt64, seed: UInt64 = 1, first: UInt64 = 1) -> SimulatedStream {
    var random = SeededGenerator(state: seed)
    let matches = (first..<(first + count)).filter { _ in UInt64.random(in: 0..<density, using: &random) == 0 }
    return SimulatedStream(first: first, last: first + count - 1, matches: matches)
}

@Suite("The search for where the newest N begin")
struct NewestSearchTests {
    @Test("limits, sequences and counts of 64 bits, whatever a server answers")
    func absurdAnswers() {
        let sequences: [UInt64] = [0, 1, .max / 2, .max - 1, .max]
        for limit in [Int.min, 50, .max] {
            for first in sequences {
                for last in sequences {
                    for before in sequences.map(Optional.some) + [nil] {
                        for matching in [0, 1_000_000, .max] as [UInt64] {
                            var search = NewestSearch(limit: limit, first: first, last: last, before: before)
                            var steps = 0
                            while case .probe(let starts) = search.next(), steps < 100 {
                                // Too many at one place, too few at the next.
                                let count = (steps + starts.count) % 2 == 0 ? matching : 0
                                for start in starts { search.answer(start: start, matching: count) }
                                steps += 1
                            }
                            #expect(steps < 100)
                        }
                    }
                }
            }
        }
    }

    @Test(
        "finds the newest N of any density, and never reads more than 2N + 64 matches",
        arguments: [1, 2, 10, 100, 1_000, 50_000],
        [1, 50, 1_000]
    )
    func densities(oneIn: UInt64, limit: Int) {
        for seed in UInt64(1)...3 {
            var stream = stream(60_000, oneIn: oneIn, seed: seed)
            let search = NewestSearch(limit: limit, first: stream.first, last: stream.last)
            let outcome = run(search, on: &stream)
            #expect(
                stream.newest(limit, from: outcome.start, before: nil) == stream.newest(limit, from: 0, before: nil)
            )
            #expect(stream.count(from: outcome.start) <= UInt64(2 * limit + 64))
            #expect(outcome.probes <= 2 * 16)
        }
    }

    @Test("needs as many probes in a stream of ten million as in one of ten thousand")
    func independentOfLength() {
        // Regular matches, so that the simulated stream needs no memory.
        func probes(_ length: UInt64) -> Int {
            var search = NewestSearch(limit: 50, first: 1, last: length)
            var probes = 0
            while case .probe(let starts) = search.next(), probes < 100 {
                probes += starts.count
                for start in starts { search.answer(start: start, matching: length / 100 - (start - 1) / 100) }
            }
            return probes
        }
        let short = probes(10_000)
        #expect(probes(10_000_000) <= short + 1)
        #expect(probes(1_000_000_000_000) <= short + 1)
        #expect(short <= 4)
    }

    @Test("an unfiltered stream without gaps needs one probe, and one to read whole needs none")
    func unfiltered() {
        var whole = stream(10_000, oneIn: 1)
        let some = run(NewestSearch(limit: 50, first: 1, last: 10_000, isFiltered: false), on: &whole)
        #expect(some.probes == 1)
        #expect(whole.count(from: some.start) >= 50)
        let all = run(NewestSearch(limit: 10_000, first: 1, last: 10_000, isFiltered: false), on: &whole)
        #expect(all.probes == 0)
        #expect(all.start == 1)
    }

    @Test("no match at all, fewer than asked for, and an empty stream end at the first message")
    func tooFew() {
        var none = SimulatedStream(first: 5, last: 1_000_004, matches: [])
        let nothing = run(NewestSearch(limit: 10, first: 5, last: 1_000_004), on: &none)
        #expect(nothing.start == 5)
        #expect(nothing.rounds <= 4)

        var few = SimulatedStream(first: 5, last: 1_000_004, matches: [6, 7, 500_000])
        #expect(run(NewestSearch(limit: 10, first: 5, last: 1_000_004), on: &few).start == 5)

        var empty = SimulatedStream(first: 102, last: 101, matches: [])
        let outcome = run(NewestSearch(limit: 10, first: 102, last: 101), on: &empty)
        #expect(outcome.probes == 0)
        #expect(outcome.start == 102)
    }

    @Test("clusters, gaps and steps in the density do not mislead it", arguments: UInt64(1)...60)
    func clusters(seed: UInt64) {
        var random = SeededGenerator(state: seed)
        var matches: [UInt64] = []
        var sequence: UInt64 = 1
        while matches.count < 12_000 {
            sequence += UInt64.random(in: 1...200_000, using: &random)
            for _ in 0..<Int.random(in: 1...2_000, using: &random) {
                matches.append(sequence)
                sequence += UInt64.random(in: 1...3, using: &random)
            }
        }
        sequence += UInt64.random(in: 0...1_000_000, using: &random)
        var stream = SimulatedStream(first: 1, last: sequence, matches: matches)
        for limit in [1, 7, 50, 500, 5_000] {
            let outcome = run(NewestSearch(limit: limit, first: 1, last: stream.last), on: &stream)
            #expect(stream.newest(limit, from: outcome.start, before: nil) == Array(matches.suffix(limit)))
            #expect(stream.count(from: outcome.start) <= UInt64(2 * limit + 64))
            #expect(outcome.probes <= 2 * 24, "\(outcome.probes) probes for the newest \(limit) of \(sequence)")
        }
    }

    @Test("only messages below the cursor count, wherever it lies", arguments: UInt64(1)...40)
    func beforeCursor(seed: UInt64) {
        var random = SeededGenerator(state: seed)
        var stream = stream(100_000, oneIn: UInt64.random(in: 1...300, using: &random), seed: seed, first: 1_000)
        let before = UInt64.random(in: 1...120_000, using: &random)
        for limit in [1, 50, 700] {
            let search = NewestSearch(limit: limit, first: stream.first, last: stream.last, before: before)
            let outcome = run(search, on: &stream)
            let expected = stream.newest(limit, from: 0, before: before)
            #expect(stream.newest(limit, from: outcome.start, before: before) == expected)
            let read = stream.count(from: outcome.start) - stream.count(from: max(before, outcome.start))
            #expect(read <= UInt64(2 * limit + 64))
        }
    }

    @Test("a stream that grows during the search still ends it, near the newest", arguments: [1, 10, 300, 5_000])
    func growth(perRound: UInt64) {
        var stream = stream(50_000, oneIn: 3)
        for limit in [1, 50, 1_000] {
            let outcome = run(NewestSearch(limit: limit, first: 1, last: stream.last), on: &stream) { stream in
                for _ in 0..<perRound {
                    stream.last += 1
                    if stream.last % 3 == 0 { stream.matches.append(stream.last) }
                }
            }
            #expect(stream.count(from: outcome.start) >= UInt64(limit))
            #expect(outcome.rounds <= 81)
            if perRound <= 10 { #expect(stream.count(from: outcome.start) <= UInt64(2 * limit + 64) + perRound) }
        }
    }

    @Test("a stream that loses its oldest messages during the search still ends it", arguments: UInt64(1)...20)
    func expiry(seed: UInt64) {
        var stream = stream(50_000, oneIn: 20, seed: seed)
        let outcome = run(NewestSearch(limit: 50, first: 1, last: stream.last), on: &stream) { stream in
            stream.first += 9_000
            stream.matches.removeAll { $0 < stream.first }
        }
        let expected = stream.newest(50, from: 0, before: nil)
        #expect(stream.newest(50, from: outcome.start, before: nil) == expected)
        #expect(outcome.rounds <= 81)
    }

    @Test("extreme numbers neither trap nor run on")
    func extremes() {
        for (limit, first, last) in [
            (Int.max, UInt64(1), UInt64.max), (1, 0, UInt64.max), (Int.max, UInt64.max, UInt64.max), (0, 0, 0),
            (-5, 10, 3),
        ] {
            var stream = SimulatedStream(first: first, last: last, matches: [])
            let outcome = run(NewestSearch(limit: limit, first: first, last: last), on: &stream)
            #expect(outcome.rounds <= 81)
            var search = NewestSearch(limit: limit, first: first, last: last, before: 7)
            search.answer(start: 3, matching: .max)
            search.answer(start: 7, matching: .max)
            for _ in 0..<100 {
                guard case .probe(let starts) = search.next() else { break }
                for start in starts { search.answer(start: start, matching: .max) }
            }
        }
    }

    @Test("a fixed end that is counted last settles what was counted before it: no place is asked twice")
    func endCountedLast() {
        let stream = stream(60_000, oneIn: 3)
        var search = NewestSearch(limit: 50, first: 1, last: stream.last, before: 40_000)
        var asked: Set<UInt64> = []
        while case .probe(let starts) = search.next() {
            for start in starts.sorted() {
                #expect(asked.insert(start).inserted, "\(start) is asked again")
                search.answer(start: start, matching: stream.count(from: start))
            }
            guard asked.count < 100 else { break }
        }
    }
}
