import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import TestSupport
import Testing

/// What a user reads who may create no consumers is what others read through consumers.
@Suite(.timeLimit(.minutes(5))) struct MessageReadingTests {
    private static let users = """
        no_auth_user: owner
        authorization { users: [
          { user: owner, password: "x" }
          { user: reader, password: "x", permissions: { publish: { deny: ["$JS.API.CONSUMER.CREATE.>"] } } }
        ] }
        """

    /// A stream's owner, and somebody who may only read.
    private struct Bench {
        let bus: PersistentEventBus
        let owner: JetStreamStore
        let reader: JetStreamStore
    }

    private static func with(
        _ binary: NATSServers.Binary,
        maximumMessages: Int? = nil,
        delay: Duration = .zero,
        _ body: (Bench) async throws -> Void
    ) async throws {
        try await withServer(binary, .init(extraConfiguration: users)) { server in
            let owner = try await NATSTransport.connect(to: server.url)
            let proxy = try await TCPProxy.start(before: server.port)
            proxy.treat { $0.delay = delay }
            var login = NATSConnection.Configuration(servers: try ServerAddress.list(proxy.url))
            login.authentication = .userPassword(user: "reader", password: "x")
            let reader = try await NATSTransport.connect(login)
            let bus = try await PersistentEventBus.open(
                transport: owner,
                node: "n",
                configuration: PersistentEventBus.Configuration(maximumMessages: maximumMessages)
            )
            try await body(
                Bench(bus: bus, owner: JetStreamStore(owner.connection), reader: JetStreamStore(reader.connection))
            )
            await owner.close()
            await reader.close()
            await proxy.stop()
        }
    }

    private static let patterns: [EventPattern] = [
        "events.>", "events.user.*", "events.user.k0", "events.user.k1", "events.user.k2", "events.user.rare",
        "events.user.none", "events.user.late.>",
    ]

    @Test(arguments: NATSServers.all)
    func everyQueryAnswersWhatIsThere(binary: NATSServers.Binary) async throws {
        try await Self.with(binary) { bench in
            var generator = SeededGenerator(seed: 7)
            let types = try (0..<3_000).map { number -> EventType in
                if number == 17 || number == 1_900 { return "user.rare" }
                if number > 2_700, Int.random(in: 0..<4, using: &generator) > 0 { return "user.late.x" }
                // Clusters of one type, then of another.
                return try EventType("user.k\((number / 200 + Int.random(in: 0..<2, using: &generator)) % 3)")
            }
            _ = try await bench.bus.emit(contentsOf: types.map { Event($0) })
            _ = try await bench.owner.purge(matching: "events.user.k2")
            let found = try await bench.reader.first(1, matching: .all, from: .sequence(1_500), timeout: .seconds(10))
            let middle = try #require(found.first)
            // What is there, known without asking: every type has the sequence of its place.
            let stored = types.enumerated().filter { $0.element != "user.k2" }.map {
                (sequence: UInt64($0.offset + 1), subject: $0.element.subject)
            }
            for pattern in Self.patterns {
                let matching = stored.filter { pattern.matches(subject: $0.subject) }.map(\.sequence)
                for _ in 0..<6 {
                    let limit = [1, 2, 10, 64, 500, 4_000].randomElement(using: &generator) ?? 1
                    let sequence = UInt64.random(in: 0...3_100, using: &generator)
                    let bound = [nil, sequence].randomElement(using: &generator) ?? nil
                    let starts: [(StoredPart.Start, UInt64)] = [
                        (.sequence(sequence), sequence), (.sequence(0), 0), (.time(middle.storedAt), middle.sequence),
                        (.time(.epoch), 0),
                    ]
                    let (start, from) = starts.randomElement(using: &generator) ?? (.sequence(1), 1)
                    let what = Comment(
                        rawValue: "\(pattern), \(limit), \(sequence), \(start), \(String(describing: bound))"
                    )
                    let newest = try await bench.reader.newest(
                        limit,
                        matching: pattern,
                        before: bound,
                        timeout: .seconds(60)
                    )
                    #expect(newest.map(\.sequence) == matching.filter { $0 < bound ?? .max }.suffix(limit), what)
                    let first = try await bench.reader.first(
                        limit,
                        matching: pattern,
                        from: start,
                        timeout: .seconds(60)
                    )
                    #expect(first.map(\.sequence) == Array(matching.filter { $0 >= from }.prefix(limit)), what)
                }
            }
        }
    }

    @Test(arguments: NATSServers.all)
    func everyReplayHandsOverTheSame(binary: NATSServers.Binary) async throws {
        try await Self.with(binary) { bench in
            let types = try (0..<2_500).map { try EventType($0 == 2_300 ? "user.rare" : "user.k\($0 % 7 % 3)") }
            _ = try await bench.bus.emit(contentsOf: types.map { Event($0) })
            for pattern in Self.patterns {
                for start in [StreamStart.beginning, .sequence(1_000), .new] {
                    func items(_ store: JetStreamStore) async throws -> [FollowedItem] {
                        let follower = try await store.follow(matching: pattern, from: start, timeout: .seconds(10))
                        defer { follower.cancel() }
                        return try await withDeadline(.seconds(60), "the end of what is stored") {
                            var items: [FollowedItem] = []
                            while let more = try await follower.next(isolation: nil) {
                                items += more
                                if items.contains(.caughtUp) { break }
                            }
                            return items
                        }
                    }
                    #expect(try await items(bench.reader) == items(bench.owner), "\(pattern) from \(start)")
                }
            }
        }
    }

    /// Events come while it reads, and the stream keeps few of them: each arrives once, in order, or is said to be lost.
    @Test(arguments: NATSServers.all)
    func whatTheStreamDropsWhileItReadsIsSaidToBeLost(binary: NATSServers.Binary) async throws {
        try await Self.with(binary, maximumMessages: 300) { bench in
            let count: UInt64 = 6_000
            let follower = try await bench.reader.follow(matching: .all, from: .sequence(1), timeout: .seconds(10))
            async let emitted: Void = {
                for _ in 0..<(count / 500) {
                    _ = try await bench.bus.emit(contentsOf: (0..<500).map { _ in Event("user.k0") })
                }
            }()
            let (seen, lost) = try await withDeadline(.seconds(120), "all \(count) events, read or lost") {
                var next: UInt64 = 1
                var (seen, lost): (UInt64, UInt64) = (0, 0)
                while next <= count, let items = try await follower.next(isolation: nil) {
                    for item in items {
                        switch item {
                        case .message(let message):
                            #expect(message.sequence == next)
                            next = message.sequence + 1
                            seen += 1
                        case .lost(let range):
                            #expect(range.lowerBound == next)
                            next = range.upperBound + 1
                            lost += range.upperBound - range.lowerBound + 1
                        case .caughtUp: break
                        case .reset(let reset): throw TestSupportError("unexpected: \(reset)")
                        }
                    }
                }
                return (seen, lost)
            }
            try await emitted
            follower.cancel()
            #expect(seen + lost == count && seen >= 300, "\(seen) seen, \(lost) lost")
        }
    }

    /// Requests that are answered late meet a longer stream than those before them.
    @Test(arguments: NATSServers.all)
    func burstsBehindALongWayAreReadWhole(binary: NATSServers.Binary) async throws {
        try await Self.with(binary, delay: .milliseconds(20)) { bench in
            let text = String(repeating: "x", count: 4_800)
            for pattern: EventPattern in ["events.user.k0", "events.>"] {
                let follower = try await bench.reader.follow(matching: pattern, from: .new, timeout: .seconds(10))
                let first = try await bench.reader.state().lastSequence + 1
                var next = first
                for _ in 0..<3 {
                    _ = try await bench.bus.emit(
                        contentsOf: (0..<431).map { _ in Event("user.k0", data: ["text": .string(text)]) }
                    )
                    let end = next + 431
                    next = try await withDeadline(.seconds(90), "the burst") { [next] in
                        var next = next
                        while next < end, let items = try await follower.next(isolation: nil) {
                            for item in items where item != .caughtUp {
                                guard case .message(let message) = item else {
                                    throw TestSupportError("\(item) before \(next)")
                                }
                                #expect(message.sequence == next)
                                next = message.sequence + 1
                            }
                        }
                        return next
                    }
                }
                follower.cancel()
            }
        }
    }

    /// Few matches far apart, then very many: the width that suits the former must not make one lane read the latter.
    @Test(arguments: NATSServers.all)
    func aClusterBehindALongWayIsReadInParts(binary: NATSServers.Binary) async throws {
        try await Self.with(binary, delay: .milliseconds(20)) { bench in
            for _ in 0..<4 {
                _ = try await bench.bus.emit(
                    contentsOf: [Event("user.rare")] + (0..<2_000).map { _ in Event("user.k0") }
                )
            }
            _ = try await bench.bus.emit(contentsOf: (0..<600).map { _ in Event("user.rare") })
            let began = ContinuousClock.now
            let found = try await bench.reader.first(
                1_000,
                matching: "events.user.rare",
                from: .sequence(1),
                timeout: .seconds(120)
            )
            #expect(found.count == 604)
            // One after the other they would take 604 round trips of 40 ms.
            #expect(ContinuousClock.now - began < .seconds(24))
        }
    }

    @Test(arguments: NATSServers.all)
    func whatComesIsHandedOverAtOnce(binary: NATSServers.Binary) async throws {
        try await Self.with(binary) { bench in
            let follower = try await bench.reader.follow(matching: "events.user.k1", from: .new, timeout: .seconds(10))
            #expect(try await follower.next(isolation: nil) == [.caughtUp])
            var slowest = Duration.zero
            for _ in 0..<20 {
                _ = try await bench.bus.emit(EventType("user.k0"))
                let start = ContinuousClock.now
                let position = try await bench.bus.emit(EventType("user.k1"))
                let items = try await withDeadline(.seconds(30), "the event") {
                    try await follower.next(isolation: nil)
                }
                slowest = max(slowest, .now - start)
                guard case .message(let message)? = items?.first else {
                    Issue.record("\(String(describing: items))")
                    return
                }
                #expect(message.sequence == position.sequence && items?.count == 1)
            }
            // A look every second would be slower than this for most of them.
            #expect(slowest < .seconds(10), "\(slowest)")
            // No consumer has been made, and none is left.
            #expect(try await bench.owner.jetStream.consumers(on: "MESH_EVENTS").isEmpty)
        }
    }
}
