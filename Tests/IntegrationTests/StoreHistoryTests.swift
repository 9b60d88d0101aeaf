import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import NIOCore
import TestSupport
import Testing

@Suite("History against real servers", .timeLimit(.minutes(5)))
struct StoreHistoryTests {
    /// Fills the stream with `count` messages, every hundredth on `events.user.rare`; the payload is the number.
    private func fill(_ store: JetStreamStore, _ transport: NATSTransport, _ count: Int) async throws {
        var configuration = StreamConfiguration(name: "MESH_EVENTS", subjects: ["events.>"], storage: .memory)
        configuration.maximumMessages = nil
        _ = try await store.jetStream.createStream(configuration)
        for number in 0..<count {
            let subject = number.isMultiple(of: 100) ? "events.user.rare" : "events.user.common"
            try transport.connection.publish(payload("\(number)"), to: subject)
            // A stream that is overrun drops what it cannot take.
            if number.isMultiple(of: 2_000) { _ = try await store.jetStream.streamInfo("MESH_EVENTS") }
        }
        try await eventually("\(count) stored messages") {
            try await store.state().messages == UInt64(count)
        }
    }

    private func numbers(_ messages: [StoredMessage]) -> [Int] {
        messages.map { Int(String(decoding: $0.payload, as: UTF8.self)) ?? -1 }
    }

    @Test(
        "a reader that closes its connection right after a query leaves no consumer behind",
        arguments: NATSServers.all
    )
    func leavesNothing(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, server in
            try await fill(store, transport, 200)
            for _ in 0..<20 {
                let reading = try await NATSTransport.connect(to: server.url)
                let found = try await JetStreamStore(reading.connection)
                    .newest(5, matching: "events.user.none", before: nil, timeout: .seconds(10))
                #expect(found.isEmpty)
                await reading.close()
            }
            #expect(try await store.jetStream.streamInfo("MESH_EVENTS").state.consumerCount == 0)
        }
    }

    @Test(
        "the newest events that pass a filter are found behind 20 000 others, page by page",
        arguments: NATSServers.all
    )
    func filtered(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { _, transport, _ in
            let bus = try await PersistentEventBus.open(
                transport: transport,
                node: "n",
                configuration: PersistentEventBus.Configuration(maximumMessages: nil),
                logger: quiet
            )
            let hot = Set([3, 17, 18])
            try await bus.emit(
                contentsOf: (0..<20_020).lazy.map {
                    Event(
                        "node.health",
                        data: ["i": .init($0), "resources": ["cpu": .init(hot.contains($0) ? 0.97 : 0.2)]]
                    )
                }
            )
            let filter = try EventFilter("resources.cpu > 0.9")
            var query: EventHistory.Query? = EventHistory.Query(matching: .allNodes, filter: filter, limit: 2)
            var pages: [[UInt64]] = []
            while let asked = query {
                let page = try await bus.history(asked)
                pages.append(page.events.map(\.sequence))
                query = asked.next(after: page)
            }
            #expect(pages.flatMap { $0.reversed() } == [19, 18, 4])
            #expect(pages.first == [18, 19])
            let replay = try await bus.replay(matching: .allNodes, filter: filter)
            var replayed: [UInt64] = []
            for try await element in replay {
                if element == .caughtUp { break }
                if let stored = element.event { replayed.append(stored.sequence) }
            }
            #expect(replayed == [4, 18, 19])
        }
    }

    @Test(
        "a stream with a hole of thousands of sequences is read with a few consumers, whole and before a sequence",
        arguments: NATSServers.all
    )
    func sparse(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            let bus = try await PersistentEventBus.open(transport: transport, node: "n", logger: quiet)
            // Only the newest event of each type is kept: one at the end, and sixty behind a hole.
            let types = try (0..<60).map { try EventType("user.n\($0)") }
            try await store.jetStream.limitStream(["max_msgs_per_subject": 1])
            try await bus.emit(contentsOf: types.map { Event($0) })
            try await bus.emit(contentsOf: (0..<6_000).map { Event("node.health", data: ["i": .init($0)]) })
            let advisories = try await transport.connection.subscribe(to: "$JS.EVENT.ADVISORY.CONSUMER.CREATED.>")
            let found = try await store.newest(50, matching: .all, before: nil, timeout: .seconds(30))
            #expect(found.map(\.sequence) == Array(12...60) + [6_060])
            let earlier = try await store.newest(10, matching: .all, before: 6_060, timeout: .seconds(30))
            #expect(earlier.map(\.sequence) == Array(51...60))
            let rare = try await store.newest(5, matching: "events.user.n7", before: nil, timeout: .seconds(30))
            #expect(rare.map(\.sequence) == [8])
            try transport.connection.publish(ByteBuffer(), to: "$JS.EVENT.ADVISORY.CONSUMER.CREATED.end")
            var created = 0
            for try await advisory in advisories {
                if advisory.subject.hasSuffix(".end") { break }
                created += 1
            }
            #expect(created < 40, "\(created) consumers")
        }
    }

    @Test(
        "pages, cursors and sequences of a stream that is created again meanwhile end with an error",
        arguments: NATSServers.all,
        [EventHistory.End.newest, .oldest]
    )
    func replaced(binary: NATSServers.Binary, end: EventHistory.End) async throws {
        try await withStore(binary) { store, transport, _ in
            let bus = try await PersistentEventBus.open(transport: transport, node: "n", logger: quiet)
            for number in 0..<6 { try await bus.emit("user.n", ["seq": .init(number)]) }
            let history = EventHistory(store: store, logger: quiet)
            let query = EventHistory.Query(limit: 2, end: end)
            let page = try await history.page(query)
            let created = try await store.state().created
            #expect(page.created == created && created != nil)
            let next = try #require(query.next(after: page))
            #expect(try await history.page(next).events.map(\.sequence) == [3, 4])
            var iterator = history.events(pageSize: 2).makeAsyncIterator()
            #expect(try await iterator.next()?.sequence == 1)
            #expect(try await iterator.next()?.sequence == 2)
            try await store.jetStream.deleteStream(store.streamName)
            _ = try await store.open(PersistentEventBus.Configuration())
            for number in 0..<9 { try await bus.emit("user.n", ["seq": .init(number)]) }
            let error = await #expect(throws: MeshEventsError.self) { try await history.page(next) }
            #expect(error?.code == .streamReplaced)
            let ending = await #expect(throws: MeshEventsError.self) { try await iterator.next() }
            #expect(ending?.code == .streamReplaced)
        }
    }

    @Test(
        "how often the stream is asked for: once a page, and once more where sequences are given",
        arguments: NATSServers.all
    )
    func looks(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, server in
            let bus = try await PersistentEventBus.open(transport: transport, node: "n", logger: quiet)
            try await bus.emit(contentsOf: (0..<50).map { Event("user.n", data: ["seq": .init($0)]) })
            let history = EventHistory(store: store, logger: quiet)
            let listener = try await NATSTransport.connect(to: server.url)
            let (asked, ends) = (Counter(), Counter())
            let requests = try await listener.connection.subscribe(to: "$JS.API.STREAM.INFO.>")
            let counting = Task {
                for try await request in requests { (request.subject.hasSuffix(".END") ? ends : asked).add() }
            }
            func count(_ body: () async throws -> Void) async throws -> Int {
                let (before, rounds) = (asked.count, ends.count)
                try await body()
                // What was asked has been counted when this has.
                try transport.connection.publish(payload(""), to: "$JS.API.STREAM.INFO.END")
                try await eventually("the requests to be counted") { ends.count > rounds }
                return asked.count - before
            }
            for end in [EventHistory.End.newest, .oldest] {
                let query = EventHistory.Query(limit: 10, end: end)
                var page = EventHistory.Page(events: [], cursor: nil, malformed: 0)
                #expect(try await count { page = try await history.page(query) } == 1)
                let next = try #require(query.next(after: page))
                #expect(try await count { page = try await history.page(next) } == 2)
                #expect(page.events.count == 10)
            }
            let all = try await count { for try await _ in history.events(pageSize: 10) {} }
            // For the end of the sequence, for its pages, and for the stream that it was.
            #expect(all <= 8, "\(all)")
            counting.cancel()
            await listener.close()
        }
    }

    @Test("the newest of a long stream, at any density, with a cursor and without", arguments: NATSServers.all)
    func newest(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            try await fill(store, transport, 60_000)
            func newest(_ limit: Int, _ pattern: EventPattern, before: UInt64? = nil) async throws -> [Int] {
                numbers(try await store.newest(limit, matching: pattern, before: before, timeout: .seconds(10)))
            }
            #expect(try await newest(50, .all) == Array(59_950..<60_000))
            #expect(try await newest(1, .all) == [59_999])
            #expect(try await newest(10_000, .all) == Array(50_000..<60_000))
            #expect(try await newest(100_000, .all) == Array(0..<60_000))
            let rare = (0..<600).map { $0 * 100 }
            #expect(try await newest(50, "events.user.rare") == Array(rare.suffix(50)))
            #expect(try await newest(1_000, "events.user.rare") == rare)
            #expect(try await newest(10, "events.tool.>") == [])
            // Number n has sequence n + 1.
            #expect(try await newest(50, .all, before: 30_001) == Array(29_950..<30_000))
            #expect(
                try await newest(5, "events.user.rare", before: 30_001) == [29_500, 29_600, 29_700, 29_800, 29_900]
            )
            #expect(try await newest(5, .all, before: 1) == [])
            #expect(try await newest(5, .all, before: 3) == [0, 1])
            #expect(try await newest(5, .all, before: 1_000_000) == Array(59_995..<60_000))
        }
    }

    @Test("holes in the stream do not cost events", arguments: NATSServers.all)
    func holes(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            try await fill(store, transport, 20_000)
            try await store.jetStream.purgeStream("MESH_EVENTS", subject: "events.user.common")
            for number in 0..<10 {
                try transport.connection.publish(payload("\(20_000 + number)"), to: "events.user.new")
            }
            try await eventually("the new messages") { try await store.state().messages == 210 }
            let found = try await store.newest(60, matching: .all, before: nil, timeout: .seconds(10))
            #expect(numbers(found) == (150..<200).map { $0 * 100 } + Array(20_000..<20_010))
        }
    }

    @Test("history while the stream grows and forgets is the newest of its moment", arguments: NATSServers.all)
    func growing(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            _ = try await store.open(PersistentEventBus.Configuration(maximumMessages: 2_000))
            let writer = Task {
                var number = 0
                while !Task.isCancelled {
                    for _ in 0..<200 {
                        try transport.connection.publish(payload("\(number)"), to: "events.user.common")
                        number += 1
                    }
                    // Acknowledged: a stream that is flooded falls behind by any time.
                    _ = try await store.jetStream.publish(payload("\(number)"), to: "events.user.common")
                    number += 1
                }
            }
            try await eventually("a full stream") { try await store.state().messages >= 2_000 }
            for _ in 0..<50 {
                let state = try await store.state()
                let found = try await store.newest(300, matching: .all, before: nil, timeout: .seconds(10))
                #expect(found.count == 300)
                #expect(zip(found, found.dropFirst()).allSatisfy { $0.sequence + 1 == $1.sequence })
                #expect((found.last?.sequence ?? 0) >= state.lastSequence)
            }
            writer.cancel()
            _ = try? await writer.value
        }
    }

    @Test("a flooded stream answers late, but it answers", arguments: NATSServers.all)
    func flooded(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            _ = try await store.open(PersistentEventBus.Configuration(maximumMessages: nil))
            for number in 0..<40_000 {
                try? transport.connection.publish(payload("\(number)"), to: "events.user.common")
            }
            let found = try await store.newest(300, matching: .all, before: nil, timeout: .seconds(40))
            #expect(zip(found, found.dropFirst()).allSatisfy { $0.sequence + 1 == $1.sequence })
        }
    }

    @Test("reading leaves no consumer behind", arguments: NATSServers.all)
    func noConsumers(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            try await fill(store, transport, 5_000)
            for _ in 0..<20 {
                _ = try await store.newest(5, matching: "events.user.rare", before: nil, timeout: .seconds(5))
                _ = try await store.first(5, matching: .all, from: .sequence(100), timeout: .seconds(5))
            }
            try await eventually("no consumers") {
                try await store.jetStream.streamInfo("MESH_EVENTS").state.consumerCount == 0
            }
        }
    }
}
