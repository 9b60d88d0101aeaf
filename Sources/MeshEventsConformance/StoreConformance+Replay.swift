import MeshEvents

extension StoreConformance {
    /// Replay.
    static let replaying: [Check] = [
        Check("a stream that is deleted and created again during a replay is a reset, and read from its beginning") {
            fixture in
            guard let deleteStream = fixture.deleteStream else { return }
            let bus = try await fixture.open()
            try await fixture.fill(bus, 3)
            var replays: [ReplaySubscription] = []
            for pattern: EventPattern in [.all, "events.user.*"] {
                let replay = try await bus.replay(matching: pattern)
                try requireEqual(try await replay.collect(4, "what is stored").last, .caughtUp, "the seam")
                replays.append(replay)
            }
            let before = try await fixture.store.state().created
            try await deleteStream()
            let other = try await fixture.open()
            try await fixture.fill(other, 7)
            let created = try await fixture.store.state().created
            try require(created != before, "a stream that is created again has another time of creation")
            for replay in replays {
                let elements = try await replay.collect(8, "the other stream")
                try requireEqual(elements.first, .reset(ReplayReset(created: created)), "the first element")
                try requireEqual(elements.compactMap(\.event?.sequence), Array(1...7), "the other stream's sequences")
            }
        },
        Check("a replay from the beginning has the stored events, then caughtUp, then the new events") { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 120)
            let replay = try await bus.replay()
            let stored = try await replay.collect(121, "what is stored")
            try requireEqual(stored.dropLast().numbers, Array(0..<120), "the stored events")
            try requireEqual(stored.last, .caughtUp, "the seam")
            try requireEqual(stored.compactMap(\.event?.sequence), Array(1...120), "their sequences")
            try await bus.emit("user.live", ["seq": 120])
            try requireEqual(try await replay.collect(1, "what comes").numbers, [120], "the live event")
        },
        Check("a replay goes over the sequences that a purge has removed", needs: [.administration]) { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 30)
            _ = try await bus.purge(matching: "events.user.common")
            let replay = try await bus.replay(from: .sequence(5))
            let elements = try await replay.untilCaughtUp("what is left")
            try requireEqual(elements.compactMap(\.event?.sequence), [11, 21], "the sequences that are left")
            try requireEqual(try await bus.history(limit: 10).map(\.sequence), [1, 11, 21], "the history")
        },
        Check("a replay begins at a sequence, at a time, or with what is new") { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 60)
            let all = try await bus.history(limit: 60)
            let time = all[30].storedAt
            let sinceTime = all.filter { $0.storedAt >= time }.map(\.sequence)
            let starts: [(StreamStart, [UInt64])] = [
                (.sequence(0), Array(1...60)), (.sequence(41), Array(41...60)), (.sequence(61), []),
                (.time(Timestamp(nanosecondsSinceEpoch: 0)), Array(1...60)), (.time(time), sinceTime), (.new, []),
            ]
            var replays: [(StreamStart, ReplaySubscription)] = []
            for (start, expected) in starts {
                let replay = try await bus.replay(from: start)
                let elements = try await replay.collect(expected.count + 1, "from \(start)")
                try requireEqual(elements.compactMap(\.event?.sequence), expected, "from \(start)")
                try requireEqual(elements.last, .caughtUp, "the seam from \(start)")
                replays.append((start, replay))
            }
            try await bus.emit("user.live", ["seq": 60])
            for (start, replay) in replays {
                let live = try await replay.collect(1, "live from \(start)")
                try requireEqual(live.compactMap(\.event?.sequence), [61], "live from \(start)")
            }
        },
        Check("while events are emitted, a replay has each event once, in order, stored and new ones") { fixture in
            let bus = try await fixture.open()
            let count = 3_000
            async let emitted: Void = {
                for begin in stride(from: 0, to: count, by: 100) {
                    let events = (begin..<begin + 100).map { Event("user.seam", data: ["seq": .init($0)]) }
                    _ = try await bus.emit(contentsOf: events)
                }
            }()
            let readers = EventReplay(store: fixture.other)
            let found = try await withThrowingTaskGroup(of: (Int, [Int]).self) { group in
                for reader in 0..<6 {
                    group.addTask {
                        // Each reader begins at a different time.
                        while try await fixture.other.state().lastSequence < UInt64(reader * 400) {}
                        let replay = try await readers.open(matching: reader.isMultiple(of: 2) ? .all : "events.user.*")
                        return (reader, try await replay.numbers(count, "reader \(reader)"))
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            try await emitted
            for (reader, numbers) in found { try requireEqual(numbers, Array(0..<count), "reader \(reader)") }
        },
        Check("a replay of one or several patterns has the matching events, each once") { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 50)
            for type in ["tool.started", "tool.crashed", "node.joined"] as [EventType] { try await bus.emit(type) }
            func sequences(_ patterns: [EventPattern]) async throws -> [UInt64] {
                let replay = try await bus.replay(matching: patterns)
                return try await replay.untilCaughtUp("\(patterns)").compactMap(\.event?.sequence)
            }
            try requireEqual(try await sequences(["events.user.rare"]), [1, 11, 21, 31, 41], "one")
            try requireEqual(
                try await sequences(["events.tool.*", "events.tool.crashed", "events.node.>"]),
                [51, 52, 53],
                "several that overlap"
            )
            try requireEqual(
                try await sequences(["events.user.rare", "events.*.crashed"]),
                [1, 11, 21, 31, 41, 52],
                "several that do not"
            )
            try requireEqual(try await sequences(["events.tool.none"]), [], "none")
        },
        Check("events that the stream has dropped are a gap, with the sequences lost", needs: [.administration]) {
            fixture in
            var configuration = fixture.configuration
            configuration.maximumMessages = 100
            try await fixture.open(through: fixture.store, configuration)
            let bus = try await fixture.open()
            try await fixture.fill(bus, 250)
            for pattern in [.all, "events.user.common"] as [EventPattern] {
                let late = try await bus.replay(matching: pattern, from: .sequence(41))
                let first = try await late.collect(1, "the gap")
                try requireEqual(first, [.gap(ReplayGap(sequences: 41...150))], "the beginning of \(pattern)")
                let rest = try await late.untilCaughtUp("the rest").compactMap(\.event?.sequence)
                let expected = Array(151...250 as ClosedRange<UInt64>).filter { pattern == .all || $0 % 10 != 1 }
                try requireEqual(rest, expected, "the rest of \(pattern)")
            }
            // From the beginning means: from the oldest event that exists.
            let all = try await bus.replay().untilCaughtUp("from the beginning")
            try requireEqual(all.compactMap(\.event?.sequence), Array(151...250), "from the beginning")
            try requireEqual(all.count, 101, "no gap there")
        },
        Check(
            "a reader that is slower than the stream drops events gets gaps, and no event twice",
            needs: [.administration]
        ) { fixture in
            var configuration = fixture.configuration
            configuration.maximumMessages = 1_000
            try await fixture.open(through: fixture.store, configuration)
            let bus = try await fixture.open()
            let count = 12_000
            try await bus.emit("user.slow", ["seq": 0])
            let replay = try await bus.replay()
            try requireEqual(try await replay.collect(1, "the first").numbers, [0], "the first")
            let events = (1..<count).map { Event("user.slow", data: ["seq": .init($0)]) }
            _ = try await bus.emit(contentsOf: events)
            var covered: UInt64 = 1
            var lost: UInt64 = 0
            while covered < count {
                for element in try await replay.collect(1, "the element behind \(covered)") {
                    switch element {
                    case .caughtUp: break
                    case .reset(let reset): throw ConformanceFailure("an unexpected reset: \(reset)")
                    case .event(let stored):
                        try requireEqual(stored.sequence, covered + 1, "the next sequence")
                        covered = stored.sequence
                    case .gap(let gap):
                        try requireEqual(gap.sequences.lowerBound, covered + 1, "the beginning of a gap")
                        covered = gap.sequences.upperBound
                        lost += gap.count
                    }
                }
            }
            try require(lost > 0, "something was lost")
        },
        Check("a replay ends when it is cancelled, when its task is, and when its bus is closed") { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 3)
            let cancelled = try await bus.replay()
            _ = try await cancelled.untilCaughtUp("what is stored")
            let reading = Task { try await cancelled.rest() }
            cancelled.cancel()
            try requireEqual(try await within("the end") { try await reading.value }, [], "after cancelling")
            try requireEqual(try await cancelled.rest(), [], "after the end")

            let waiting = try await bus.replay(from: .new)
            _ = try await waiting.untilCaughtUp("the seam")
            let task = Task { try await waiting.rest() }
            task.cancel()
            try requireEqual(try await within("the end of the task") { try await task.value }, [], "a cancelled task")
            try await bus.emit("user.live", ["seq": 3])
            try requireEqual(try await waiting.collect(1, "after that").numbers, [3], "another task goes on")

            let last = try await bus.replay(from: .new)
            _ = try await last.untilCaughtUp("the seam")
            let open = Task { try await last.rest() }
            await bus.close()
            try requireEqual(try await within("the end with the bus") { try await open.value }, [], "a closed bus")
            try await requireCode(.closed, "replaying on a closed bus") { _ = try await bus.replay() }
        },
        Check("the next iterator gets the elements that one leaves unread") { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 10)
            let replay = try await bus.replay()
            var numbers: [Int] = []
            while numbers.count < 10 { numbers += try await replay.collect(1, "one").numbers }
            try requireEqual(numbers, Array(0..<10), "each by an iterator of its own")
        },
        Check("a replay skips and counts what is not an event") { fixture in
            let bus = try await fixture.open()
            try await bus.emit("user.common", ["seq": 0])
            try await fixture.appendRaw("not json")
            try await bus.emit("user.common", ["seq": 1])
            let replay = try await bus.replay()
            try requireEqual(try await replay.untilCaughtUp("the events").numbers, [0, 1], "the events")
            try requireEqual(replay.malformed, 1, "malformed")
        },
        Check("a replay that cannot begin is refused", needs: [.administration]) { fixture in
            let replay = EventReplay(store: fixture.store)
            try await requireCode(.streamNotFound, "without a stream") { _ = try await replay.open() }
            let bus = try await fixture.open()
            try await fixture.fill(bus, 3)
            for sequence in [5, 1_000_000, UInt64.max] {
                try await requireCode(.invalidArgument, "sequence \(sequence)") {
                    _ = try await replay.open(from: .sequence(sequence))
                }
            }
            try await requireCode(.invalidArgument, "a time to come") {
                _ = try await replay.open(from: .time(Timestamp.now.adding(.seconds(3600))))
            }
            try await requireCode(.invalidPattern, "a bad pattern") {
                _ = try await replay.open(matching: "events.>.x")
            }
            try await requireCode(.invalidArgument, "no pattern") { _ = try await replay.open(matching: []) }
        },
    ]
}

extension ReplaySubscription {
    /// The next `count` elements.
    func collect(_ count: Int, _ what: String) async throws -> [ReplayElement] {
        try await within("\(what): \(count) elements") {
            var elements: [ReplayElement] = []
            var iterator = self.makeAsyncIterator()
            while elements.count < count {
                guard let element = try await iterator.next() else {
                    throw ConformanceFailure("\(what): the sequence ended after \(elements.count) of \(count)")
                }
                elements.append(element)
            }
            return elements
        }
    }

    /// All elements up to `caughtUp`, which is the last one.
    func untilCaughtUp(_ what: String) async throws -> [ReplayElement] {
        try await within("\(what): the seam") {
            var elements: [ReplayElement] = []
            for try await element in self {
                elements.append(element)
                if element == .caughtUp { return elements }
            }
            throw ConformanceFailure("\(what): the sequence ended after \(elements.count) elements")
        }
    }

    /// The numbers of the next `count` events; gaps fail.
    func numbers(_ count: Int, _ what: String) async throws -> [Int] {
        try await within("\(what): \(count) events", limit: .seconds(60)) {
            var numbers: [Int] = []
            for try await element in self {
                if case .gap(let gap) = element { throw ConformanceFailure("\(what): a gap of \(gap)") }
                if let stored = element.event { numbers.append(stored.event.data["seq"]?.int ?? -1) }
                if numbers.count == count { return numbers }
            }
            throw ConformanceFailure("\(what): the sequence ended after \(numbers.count) of \(count)")
        }
    }

    /// All elements up to the end.
    func rest() async throws -> [ReplayElement] {
        var elements: [ReplayElement] = []
        for try await element in self { elements.append(element) }
        return elements
    }
}

extension Sequence<ReplayElement> {
    /// The numbers that events carry in `seq`.
    var numbers: [Int] { compactMap(\.event).map { $0.event.data["seq"]?.int ?? -1 } }
}
