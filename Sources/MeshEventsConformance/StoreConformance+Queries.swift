import MeshEvents

extension StoreConformance {
    /// Queries over several patterns, from either end.
    static let querying: [Check] = [
        Check("several patterns, also overlapping ones, have each event once, in pages from either end") { fixture in
            let bus = try await fixture.open()
            for number in 0..<150 {
                let types: [EventType] = ["tool.started", "tool.crashed", "node.joined", "user.other"]
                try await bus.emit(types[number % 4], ["seq": .init(number)])
            }
            let patterns: [EventPattern] = ["events.tool.*", "events.*.crashed", "events.node.>"]
            let expected = (0..<150).filter { $0 % 4 != 3 }
            for end in [EventHistory.End.newest, .oldest] {
                var query: EventHistory.Query? = EventHistory.Query(matching: patterns, limit: 20, end: end)
                var pages: [[Int]] = []
                while let present = query {
                    let page = try await bus.history(present)
                    pages.append(page.events.numbers)
                    try require(pages.count <= 10, "an end of the pages")
                    query = present.next(after: page)
                }
                let ordered = end == .newest ? pages.reversed() : pages
                try requireEqual(ordered.flatMap { $0 }, expected, "all pages from the \(end)")
                try requireEqual(pages.first?.count, 20, "the size of a page")
            }
            let reader = bus.historyReader
            var numbers: [Int] = []
            for try await stored in reader.events(matching: patterns, pageSize: 17) { numbers += [stored].numbers }
            try requireEqual(numbers, expected, "as a sequence")
        },
        Check("cursors at and beyond the ends are answered at once") { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 20)
            func page(_ query: EventHistory.Query) async throws -> [UInt64] {
                try await bus.history(query).events.map(\.sequence)
            }
            for end in [EventHistory.End.newest, .oldest] {
                for before in [0, 1] as [UInt64] {
                    try requireEqual(try await page(.init(end: end, before: before)), [], "before \(before)")
                }
                for before in [21, 22, 1_000_000, .max] as [UInt64] {
                    try requireEqual(try await page(.init(end: end, before: before)), Array(1...20), "before \(before)")
                }
                for after in [20, 21, 1_000_000, .max] as [UInt64] {
                    try requireEqual(try await page(.init(end: end, after: after)), [], "after \(after)")
                }
                try requireEqual(try await page(.init(end: end, after: 0)), Array(1...20), "after 0")
                try requireEqual(
                    try await page(.init(end: end, before: 9, after: 4)),
                    [5, 6, 7, 8],
                    "between two sequences"
                )
            }
            try requireEqual(
                try await page(.init(limit: 3, end: .oldest, after: 4)),
                [5, 6, 7],
                "the oldest behind one"
            )
            try requireEqual(try await page(.init(limit: 3, before: 9)), [6, 7, 8], "the newest before one")
        },
        Check("times and sequences bound a query together, from either end and as a sequence") { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 60)
            let all = try await bus.history(limit: 60)
            let (since, until) = (all[20].storedAt, all[40].storedAt)
            let fitting = all.filter { $0.storedAt >= since && $0.storedAt <= until && $0.sequence > 25 }
            let expected = fitting.map(\.sequence)
            for end in [EventHistory.End.newest, .oldest] {
                let query = EventHistory.Query(since: since, until: until, limit: 100, end: end, after: 25)
                try requireEqual(try await bus.history(query).events.map(\.sequence), expected, "from the \(end)")
            }
            var found: [UInt64] = []
            let events = bus.historyReader.events(since: since, until: until, after: 25, pageSize: 4)
            for try await stored in events { found.append(stored.sequence) }
            try requireEqual(found, expected, "as a sequence")
        },
        Check("a sequence of events ends with what was stored when it began") { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 30)
            var numbers: [Int] = []
            for try await stored in bus.historyReader.events(pageSize: 10) {
                numbers += [stored].numbers
                try await bus.emit("user.common", ["seq": -1])
            }
            try requireEqual(numbers, Array(0..<30), "the events")
        },
        Check("since a time in the future is refused, until a time in the future is not") { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 3)
            let later = Timestamp.now.adding(.seconds(60))
            try await requireCode(.invalidArgument, "history since") { _ = try await bus.history(since: later) }
            try await requireCode(.invalidArgument, "a query since") { _ = try await bus.history(.init(since: later)) }
            try await requireCode(.invalidArgument, "a sequence since") {
                for try await _ in bus.historyReader.events(since: later) {}
            }
            try requireEqual(try await bus.history(.init(until: later)).events.numbers, [0, 1, 2], "until")
            try await requireCode(.invalidArgument, "no pattern") { _ = try await bus.history(.init(matching: [])) }
            try await requireCode(.invalidPattern, "one bad pattern of two") {
                _ = try await bus.history(.init(matching: ["events.tool.*", "events.>.x"]))
            }
        },
    ]
}
