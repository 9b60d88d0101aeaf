import MeshConcurrency
import MeshEvents

extension StoreConformance {
    /// Filters on the data of events, which the store does not know.
    static let filtering: [Check] = [
        Check("events that do not pass a filter do not use up the limit") { fixture in
            let bus = try await fixture.open()
            try await fixture.fillLoads(bus, 200)
            let filter = try EventFilter("load > 0.9")
            let page = try await bus.history(EventHistory.Query(filter: filter, limit: 4))
            try requireEqual(page.events.numbers, [120, 140, 160, 180], "the newest 4 that pass")
            let older = try await bus.history(
                EventHistory.Query(filter: filter, limit: 100, before: page.cursor)
            )
            try requireEqual(older.events.numbers, [0, 20, 40, 60, 80, 100], "the page before")
            try requireEqual(older.cursor, nil, "the cursor at the beginning")
            try requireEqual(
                try await bus.history(matching: "events.user.*", filter: filter, limit: 2).numbers,
                [160, 180],
                "the newest 2"
            )
            let start = Timestamp(nanosecondsSinceEpoch: 0)
            try requireEqual(
                try await bus.history(since: start, filter: filter, limit: 3).numbers,
                [0, 20, 40],
                "the first 3"
            )
            var all: [Int] = []
            for try await stored in bus.historyReader.events(filter: filter, pageSize: 3) { all += [stored].numbers }
            try requireEqual(all, Array(stride(from: 0, to: 200, by: 20)), "all that pass")
            let none = try await bus.history(filter: EventFilter("load > 0.9", "seq < 0"))
            try requireEqual(none.count, 0, "events for which both conditions hold")
        },
        Check("pages with a filter meet every event that passes once, from either end") { fixture in
            let bus = try await fixture.open()
            try await fixture.fillLoads(bus, 150)
            let filter = try EventFilter("load > 0.9", "seq in 20, 60, 80, 140")
            for end in [EventHistory.End.newest, .oldest] {
                var query: EventHistory.Query? = EventHistory.Query(
                    matching: ["events.user.common", "events.user.*"],
                    filter: filter,
                    limit: 1,
                    end: end
                )
                var numbers: [Int] = []
                while let asked = query {
                    let page = try await bus.history(asked)
                    numbers += page.events.numbers
                    query = asked.next(after: page)
                    try require(numbers.count <= 4, "an end of the pages: \(numbers)")
                }
                try requireEqual(numbers.sorted(), [20, 60, 80, 140], "the events of all pages")
            }
        },
        Check("a replay with a filter has the events that pass, stored and new, and the seam between them") { fixture in
            let bus = try await fixture.open()
            try await fixture.fillLoads(bus, 100)
            let replay = try await bus.replay(matching: "events.user.*", filter: EventFilter("load > 0.9"))
            let stored = try await replay.untilCaughtUp("what is stored")
            try requireEqual(stored.numbers, [0, 20, 40, 60, 80], "the stored events that pass")
            try await fixture.fillLoads(bus, 30)
            try requireEqual(try await replay.collect(2, "what comes").numbers, [0, 20], "the new events that pass")
        },
        Check(
            "a durable with a filter delivers what passes, in order, and acknowledges the rest",
            needs: [.durables, .administration]
        ) { fixture in
            let bus = try await fixture.open()
            try await fixture.fillLoads(bus, 400)
            try await fixture.appendRaw("not json")
            let recorder = Recorder()
            let subscription = try await bus.subscribe(
                durable: "hot",
                to: "events.user.common",
                configuration: .init(
                    maximumDeliveries: 1,
                    // Events that do not pass do not count as held.
                    maximumOutstanding: 1,
                    filter: try EventFilter("load > 0.9")
                )
            ) { delivery in
                recorder.add("\(delivery.event.data["seq"]?.int ?? -1) \(delivery.deliveries)")
            }
            let expected = stride(from: 0, to: 400, by: 20).map { "\($0) 1" }
            try await until("the events that pass, and the end of the others") {
                subscription.acknowledged == 20 && subscription.skipped == 380 && subscription.malformed == 1
            }
            try requireEqual(recorder.texts, expected, "the deliveries")
            try await bus.emit("user.common", ["seq": 400, "load": 0.95])
            try await until("a new event") { subscription.acknowledged == 21 }
            try await subscription.drain()
            let letters = try await bus.deadLetters("hot")
            try requireEqual(letters.count, 1, "dead letters, that of the message that is no event")
            let consumer = try await bus.report().consumers.first { $0.name == "hot" }
            try requireEqual(consumer.map { Int($0.pending) + $0.unacknowledged }, 0, "what is left for the durable")
            try requireEqual(subscription.failed, 0, "failures")
        },
        Check(
            "a durable with a filter that ends in the middle goes on there, and passes over nothing",
            needs: [.durables]
        ) { fixture in
            let bus = try await fixture.open()
            try await fixture.fillLoads(bus, 300)
            let configuration = DurableSubscription.Configuration(filter: try EventFilter("load > 0.9"))
            let first = try await bus.subscribe(
                durable: "middle",
                to: "events.user.common",
                configuration: configuration
            )
            let done = try await first.acknowledge(5, "the first five")
            let held = try await first.first("one that is not acknowledged")
            first.cancel()
            let second = try await fixture.openOther().subscribe(
                durable: "middle",
                to: "events.user.common",
                configuration: configuration
            )
            let rest = try await second.acknowledge(10, "the others")
            try requireEqual([held].numbers, [100], "the event in hand")
            try requireEqual(
                Set((done + rest).numbers),
                Set(stride(from: 0, to: 300, by: 20)),
                "all that pass"
            )
            try await bus.emit("user.common", ["seq": 300, "load": 1])
            try requireEqual([try await second.acknowledge(1, "what is new")[0]].numbers, [300], "what is new")
            try await second.drain()
        },
    ]
}

extension StoreConformance.Fixture {
    /// Stores events of the type `user.common`, numbered from 0 in `seq`; every twentieth has a `load` of 0.95, the others
    /// one of 0.5.
    fileprivate func fillLoads(_ bus: PersistentEventBus, _ count: Int) async throws {
        try await bus.emit(
            contentsOf: (0..<count).map {
                Event("user.common", data: ["seq": .init($0), "load": .init($0.isMultiple(of: 20) ? 0.95 : 0.5)])
            }
        )
    }
}
