import MeshEvents

extension StoreConformance {
    /// History.
    static let reading: [Check] = [
        Check("history is the newest events, oldest first, with and without a filter") { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 300)
            try requireEqual(try await bus.history(limit: 50).numbers, Array(250..<300), "newest 50 of all")
            try requireEqual(try await bus.history(limit: 1).numbers, [299], "newest 1")
            try requireEqual(
                try await bus.history(matching: "events.user.rare", limit: 5).numbers,
                [250, 260, 270, 280, 290],
                "newest 5 rare"
            )
            try requireEqual(
                try await bus.history(matching: "events.*.rare", limit: 2).numbers,
                [280, 290],
                "with a wildcard"
            )
            try requireEqual(try await bus.history(matching: "events.tool.>").count, 0, "a filter without a match")
            let stored = try await bus.history(matching: "events.user.rare", limit: 2)
            try requireEqual(stored.map(\.sequence), [281, 291], "their sequences")
        },
        Check("fewer events than asked for: all of them, at once") { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 3)
            // The quickest of some, since a busy machine makes any of them wait.
            var quickest = Duration.seconds(3_600)
            for _ in 1...5 {
                let start = ContinuousClock.now
                try requireEqual(try await bus.history(limit: 100).numbers, [0, 1, 2], "3 of 100")
                try requireEqual(
                    try await bus.history(matching: "events.user.rare", limit: 100).numbers,
                    [0],
                    "1 of 100 rare"
                )
                quickest = min(quickest, .now - start)
            }
            try require(quickest < .milliseconds(400), "no idle wait: two readings took \(quickest)")
        },
        Check("an empty stream has an empty history") { fixture in
            let bus = try await fixture.open()
            try requireEqual(try await bus.history().count, 0, "newest")
            try requireEqual(
                try await bus.history(since: Timestamp(nanosecondsSinceEpoch: 0)).count,
                0,
                "since the epoch"
            )
            let page = try await bus.history(EventHistory.Query(node: "n", before: 10))
            try requireEqual(page.events, [], "the page's events")
            try require(page.cursor == nil && page.malformed == 0, "a page of an empty stream ends")
        },
        Check("history since a time is the first events from then on") { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 100)
            let all = try await bus.history(limit: 100)
            let middle = all[40].storedAt
            let expected = all.filter { $0.storedAt >= middle }.map(\.sequence)
            let found = try await bus.history(since: middle, limit: 100)
            try requireEqual(found.map(\.sequence), expected, "all since the middle")
            try requireEqual(
                try await bus.history(since: middle, limit: 7).map(\.sequence),
                Array(expected.prefix(7)),
                "the first 7"
            )
            try requireEqual(
                try await bus.history(matching: "events.user.rare", since: all[0].storedAt, limit: 3).numbers,
                [0, 10, 20],
                "the first 3 rare"
            )
            let after = all[99].storedAt.adding(.nanoseconds(1))
            try requireEqual(try await bus.history(since: after).count, 0, "since the last event")
            try requireEqual(
                try await bus.history(since: Timestamp(nanosecondsSinceEpoch: 0), limit: 1000).numbers,
                Array(0..<100),
                "since the epoch"
            )
        },
        Check("since and until bound a query, both inclusive") { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 60)
            let all = try await bus.history(limit: 60)
            let (since, until) = (all[20].storedAt, all[40].storedAt)
            let expected = all.filter { $0.storedAt >= since && $0.storedAt <= until }.map(\.sequence)
            let page = try await bus.history(EventHistory.Query(since: since, until: until, limit: 100))
            try requireEqual(page.events.map(\.sequence), expected, "the newest in the range")
            try requireEqual(page.cursor, nil, "the cursor of the whole range")
            let newest = try await bus.history(EventHistory.Query(since: since, until: until, limit: 3))
            try requireEqual(newest.events.map(\.sequence), Array(expected.suffix(3)), "the newest 3 in the range")
            let first = try await bus.historyReader.first(1000, since: since, until: until)
            try requireEqual(first.map(\.sequence), expected, "the first in the range")
        },
        Check("paging backwards meets every event once") { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 105)
            for pattern in ["events.>", "events.user.common"] as [EventPattern] {
                var query = EventHistory.Query(matching: pattern, limit: 10)
                var pages: [[Int]] = []
                repeat {
                    let page = try await bus.history(query)
                    pages.insert(page.events.numbers, at: 0)
                    query.before = page.cursor
                    try require(pages.count <= 20, "an end of the pages for \(pattern)")
                } while query.before != nil
                let expected = (0..<105).filter { pattern == .all || !$0.isMultiple(of: 10) }
                try requireEqual(pages.flatMap { $0 }, expected, "all pages of \(pattern)")
            }
        },
        Check("other nodes' events do not use up the limit") { fixture in
            let bus = try await fixture.open()
            for number in 0..<200 {
                let node = number.isMultiple(of: 20) ? "wanted" : "other"
                try await bus.emit(Event("user.common", node: node, data: ["seq": .init(number)]))
            }
            let page = try await bus.history(EventHistory.Query(node: "wanted", limit: 4))
            try requireEqual(page.events.numbers, [120, 140, 160, 180], "the newest 4 of the node")
            let older = try await bus.history(EventHistory.Query(node: "wanted", limit: 100, before: page.cursor))
            try requireEqual(older.events.numbers, [0, 20, 40, 60, 80, 100], "the page before")
            try requireEqual(older.cursor, nil, "the cursor at the beginning")
            let first = try await bus.historyReader.first(
                3,
                since: Timestamp(nanosecondsSinceEpoch: 0),
                node: "wanted"
            )
            try requireEqual(first.numbers, [0, 20, 40], "the first 3 of the node")
        },
        Check("undecodable messages do not use up the limit and are counted") { fixture in
            let bus = try await fixture.open()
            for number in 0..<30 {
                try await bus.emit("user.common", ["seq": .init(number)])
                for text in ["not json", "[1]", #"{"data":7}"#] { try await fixture.appendRaw(text) }
            }
            let page = try await bus.history(EventHistory.Query(limit: 20))
            try requireEqual(page.events.numbers, Array(10..<30), "the newest 20 events")
            try require(page.malformed >= 57, "the malformed counted: \(page.malformed)")
            let all = try await bus.history(EventHistory.Query(limit: 1000))
            try requireEqual(all.events.numbers, Array(0..<30), "all events")
            try requireEqual(all.malformed, 90, "all malformed")
            let first = try await bus.history(since: Timestamp(nanosecondsSinceEpoch: 0), limit: 20)
            try requireEqual(first.numbers, Array(0..<20), "the first 20 events")
        },
        Check("a message without a timestamp gets the time it was stored") { fixture in
            let bus = try await fixture.open()
            try await fixture.appendRaw(#"{"node":"X","event":"reconnect"}"#, subject: "events.node.joined")
            let stored = try await bus.history()
            try requireEqual(stored.count, 1, "the number of events")
            try requireEqual(stored[0].event.type, .nodeJoined, "the type, from the subject")
            try requireEqual(stored[0].event.timestamp, stored[0].storedAt, "the timestamp")
        },
        Check("bad arguments are refused") { fixture in
            let bus = try await fixture.open()
            for limit in [0, -1] {
                try await requireCode(.invalidArgument, "limit \(limit)") { _ = try await bus.history(limit: limit) }
                try await requireCode(.invalidArgument, "limit \(limit) since") {
                    _ = try await bus.history(since: .now, limit: limit)
                }
            }
            let now = Timestamp.now
            let backwards = EventHistory.Query(since: now.adding(.seconds(1)), until: now)
            try await requireCode(.invalidArgument, "since later than until") { _ = try await bus.history(backwards) }
            try await requireCode(.invalidPattern, "a bad pattern") {
                _ = try await bus.history(matching: "events.>.x")
            }
        },
    ]
}
