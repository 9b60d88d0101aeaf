import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import Synchronization
import TestSupport
import Testing

/// Links that are lost for longer than a stream remembers message ids, that are lost again and again, and events so large
/// that pages have to be bounded by bytes.
@Suite("Uncertain links", .timeLimit(.minutes(5)))
struct UncertainLinkTests {
    /// Short, so that a test need not wait two minutes.
    private static let window: Duration = .milliseconds(300)

    private func open(_ address: String, window: Duration = Self.window) async throws -> PersistentEventBus {
        try await PersistentEventBus.open(
            transport: NATSTransport(try await connect(at: address)),
            node: "node-a",
            configuration: .init(maximumMessages: nil, duplicateWindow: window),
            logger: quiet
        )
    }

    /// Runs `body` with an emitter behind a link, and the store as it is without that link.
    private func withLink(
        _ binary: NATSServers.Binary,
        _ body: (TCPProxy, PersistentEventBus, JetStreamStore) async throws -> Void
    ) async throws {
        try await withServer(binary) { server in
            let proxy = try await TCPProxy.start(before: server.port, pieces: 64)
            let emitter = try await open(proxy.url)
            try await emitter.emit("user.first", [:])
            try await body(proxy, emitter, JetStreamStore(try await connect(server)))
            await proxy.stop()
        }
    }

    /// Waits for longer than the stream remembers ids.
    private func outlastWindow() async throws {
        let begun = ContinuousClock.now
        try await eventually("the stream to forget ids") { .now - begun > Self.window * 3 }
    }

    /// Holds back what the server says until the stream has `count` messages and has forgotten their ids, then cuts.
    private func cutLate(_ proxy: TCPProxy, _ count: UInt64, _ store: JetStreamStore) async throws {
        try await eventually("the stream to have them") {
            try await store.state().lastSequence >= count
        }
        try await outlastWindow()
        proxy.treat { $0.bytesPerSecondDown = nil }
        proxy.cut()
    }

    /// Emits a batch whose acknowledgements are lost for longer than the stream remembers ids: each event is stored once.
    private func emitLosingAcknowledgements(
        _ count: Int,
        _ emitter: PersistentEventBus,
        _ proxy: TCPProxy,
        _ store: JetStreamStore
    ) async throws {
        let before = try await store.state().lastSequence
        proxy.treat { $0.bytesPerSecondDown = 40 }
        async let positions = emitter.emit(
            contentsOf: (0..<count).map { Event("user.batch", data: ["n": .init($0)]) }
        )
        try await cutLate(proxy, before + UInt64(count), store)
        #expect(try await positions.map(\.sequence) == Array(before + 1...before + UInt64(count)))
        #expect(try await store.state().lastSequence == before + UInt64(count))
    }

    @Test(
        "acknowledgements lost for longer than ids are remembered: each event is stored once",
        arguments: NATSServers.all
    )
    func lateRetry(binary: NATSServers.Binary) async throws {
        try await withLink(binary) { proxy, emitter, store in
            // An acknowledgement passes in a second or so: those of the batch wait for each other.
            proxy.treat { $0.bytesPerSecondDown = 40 }
            let count = 200
            async let positions = emitter.emit(
                contentsOf: (0..<count).map { Event("user.batch", data: ["n": .init($0)]) }
            )
            try await cutLate(proxy, UInt64(count + 1), store)
            #expect(try await positions.map(\.sequence) == (2...UInt64(count + 1)).map { $0 })
            #expect(try await store.state().messages == UInt64(count + 1))

            proxy.treat { $0.bytesPerSecondDown = 40 }
            async let position = emitter.emit("user.single", ["n": 1])
            try await cutLate(proxy, UInt64(count + 2), store)
            #expect(try await position.sequence == UInt64(count + 2))
            #expect(try await store.state().messages == UInt64(count + 2))
        }
    }

    @Test(
        "a user who may create no consumers: lost acknowledgements are looked for all the same",
        arguments: NATSServers.all
    )
    func lateRetryWithoutConsumers(binary: NATSServers.Binary) async throws {
        let rules = """
            authorization { users: [
                { user: u, password: p, permissions: { publish: { deny: ["$JS.API.CONSUMER.CREATE.>"] } } },
                { user: admin, password: p }
            ] }
            """
        try await withServer(binary, .init(extraConfiguration: rules)) { server in
            let proxy = try await TCPProxy.start(before: server.port, pieces: 64)
            let emitter = try await open("nats://u:p@127.0.0.1:\(proxy.port)")
            let store = JetStreamStore(try await connect(at: "nats://admin:p@127.0.0.1:\(server.port)"))
            for count in [1, 200] { try await emitLosingAcknowledgements(count, emitter, proxy, store) }
            await proxy.stop()
        }
    }

    @Test(
        "an acknowledgement lost for long, after the stream was created again: stored once, wherever that is",
        arguments: NATSServers.all
    )
    func replaced(binary: NATSServers.Binary) async throws {
        try await withLink(binary) { proxy, emitter, store in
            // The emitter knows a sequence of the former stream that the new one has, too.
            try await emitter.emit(contentsOf: (0..<9).map { Event("user.former", data: ["n": .init($0)]) })
            try await store.jetStream.deleteStream(store.streamName)
            _ = try await store.open(.init(maximumMessages: nil, duplicateWindow: Self.window))
            proxy.treat { $0.bytesPerSecondDown = 40 }
            async let position = emitter.emit("user.single", ["n": 1])
            try await eventually("the event in the new stream") {
                try await store.state().lastSequence == 1
            }
            for number in 0..<20 {
                _ = try await store.append(
                    subject: "events.user.other",
                    payload: Array("{}".utf8),
                    messageID: "other-\(number)",
                    deadline: .seconds(30)
                )
            }
            try await cutLate(proxy, 21, store)
            #expect(try await position.sequence == 1)
            #expect(try await store.state().messages == 21)
        }
    }

    @Test(
        "the server is away for longer than ids are remembered, behind an acknowledgement that was lost: stored once",
        arguments: NATSServers.all
    )
    func awayForLong(binary: NATSServers.Binary) async throws {
        try await withLink(binary) { proxy, emitter, store in
            for round in 1...2 {
                proxy.treat { $0.bytesPerSecondDown = 1 }
                let before = try await store.state().lastSequence
                let count = round == 1 ? 1 : 100
                async let positions = emitter.emit(
                    contentsOf: (0..<count).map { Event("user.late", data: ["n": .init($0)]) }
                )
                try await eventually("the stream to have some") {
                    try await store.state().lastSequence > before
                }
                // What is sent again waits for the connection: it must not go out when that is back after the window.
                proxy.treat { $0.refuses = true }
                proxy.cut()
                try await outlastWindow()
                proxy.treat { ($0.bytesPerSecondDown, $0.refuses) = (nil, false) }
                #expect(try await positions.count == count)
                #expect(try await store.state().lastSequence == before + UInt64(count))
            }
        }
    }

    @Test(
        "a stream that keeps the last of each subject: what a later one has replaced is not stored again behind it",
        arguments: NATSServers.all
    )
    func lastValues(binary: NATSServers.Binary) async throws {
        try await withLink(binary) { proxy, emitter, store in
            try await store.jetStream.limitStream(["max_msgs_per_subject": 1, "discard": "old"])
            let types: [EventType] = ["user.value0", "user.value1"]
            proxy.treat { $0.bytesPerSecondDown = 40 }
            let count = 200
            async let positions = emitter.emit(
                contentsOf: (0..<count).map { Event(types[$0 % 2], data: ["n": .init($0)]) }
            )
            try await cutLate(proxy, UInt64(count + 1), store)
            #expect(try await positions.count == count)
            let last = try await store.newest(2, matching: .all, before: nil, timeout: .seconds(10))
            #expect(last.map(\.sequence) == [UInt64(count), UInt64(count + 1)])
        }
    }

    @Test(
        "what a stream's limits may have removed is not stored again: that it is not known is said",
        arguments: NATSServers.all
    )
    func removed(binary: NATSServers.Binary) async throws {
        try await withLink(binary) { proxy, emitter, store in
            try await store.jetStream.limitStream(["max_msgs": 50, "discard": "old"])
            proxy.treat { $0.bytesPerSecondDown = 40 }
            let count = 200
            async let positions = emitter.emit(
                contentsOf: (0..<count).map { Event("user.batch", data: ["n": .init($0)]) }
            )
            try await cutLate(proxy, UInt64(count + 1), store)
            do {
                _ = try await positions
                Issue.record("of the first events nothing can be known")
            } catch {
                let error = try #require(error as? BatchEmitError)
                #expect(error.cause.code == .timeout && error.cause.message.contains("removed"), "\(error)")
                #expect(error.unconfirmed.count + error.stored.count == count, "\(error)")
            }
            #expect(try await store.state().lastSequence == UInt64(count + 1))
        }
    }

    @Test("a burst is sent again over a link on which that takes longer than ids are remembered: stored once")
    func slowResend() async throws {
        try await withServer(NATSServers.current) { server in
            let proxy = try await TCPProxy.start(before: server.port, pieces: 1_024)
            let emitter = try await open(proxy.url, window: .seconds(4))
            let store = JetStreamStore(try await connect(server))
            let (count, pad) = (500, JSONValue(String(repeating: "x", count: 1_000)))
            proxy.treat { $0.bytesPerSecondDown = 1 }
            async let positions = emitter.emit(
                contentsOf: (0..<count).map { Event("user.burst", data: ["n": .init($0), "p": pad]) }
            )
            try await eventually("the stream to have them") {
                try await store.state().lastSequence == UInt64(count)
            }
            // Ten seconds for all of them.
            proxy.treat { ($0.bytesPerSecondDown, $0.bytesPerSecondUp) = (nil, 60_000) }
            proxy.cut()
            #expect(try await positions.map(\.sequence) == Array(1...UInt64(count)))
            #expect(try await store.state().lastSequence == UInt64(count))
            await proxy.stop()
        }
    }

    @Test(
        "a stream is created again while events are on their way: they go on at once, no other stream is suspected",
        arguments: NATSServers.all
    )
    func createdAgain(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            // Answers of the former stream are under way when it goes.
            let proxy = try await TCPProxy.start(before: server.port)
            proxy.treat { $0.delay = .milliseconds(50) }
            let transport = NATSTransport(try await connect(at: proxy.url))
            let store = JetStreamStore(transport.connection)
            let configuration = PersistentEventBus.Configuration(maximumMessages: nil)
            let emitter = try await PersistentEventBus.open(
                transport: transport,
                store: store,
                node: "node-a",
                configuration: configuration,
                logger: quiet
            )
            let direct = JetStreamStore(try await connect(server))
            let begun = ContinuousClock.now
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for number in 0..<30 { try await emitter.emit("user.one", ["n": .init(number)]) }
                }
                group.addTask {
                    let events = (0..<2_000).map { Event("user.many", data: ["n": .init($0)]) }
                    try await emitter.emit(contentsOf: events)
                }
                try await eventually("some to be stored") {
                    try await direct.state().lastSequence > 100
                }
                try await direct.jetStream.deleteStream(direct.streamName)
                _ = try await direct.open(configuration)
                try await group.waitForAll()
            }
            #expect(!store.hasOtherStream)
            // 30 ways of a tenth of a second, and some; it was two seconds for each event.
            #expect(ContinuousClock.now - begun < .seconds(60))
            await transport.close()
            await proxy.stop()
        }
    }

    @Test("the stream stores under other subjects: what it has is found all the same")
    func transformed() async throws {
        try await withLink(NATSServers.current) { proxy, emitter, store in
            try await store.jetStream.limitStream(["subject_transform": ["src": "events.>", "dest": "kept.events.>"]])
            proxy.treat { $0.bytesPerSecondDown = 40 }
            async let position = emitter.emit("user.single", ["n": 1])
            try await cutLate(proxy, 2, store)
            #expect(try await position.sequence == 2)
            #expect(try await store.state().messages == 2)
        }
    }

    @Test(
        "a stream is made to remember ids for a shorter time: an emitter that knew it before asks again",
        arguments: NATSServers.all
    )
    func shorterWindow(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let proxy = try await TCPProxy.start(before: server.port, pieces: 64)
            let emitter = try await open(proxy.url, window: .seconds(60))
            let store = JetStreamStore(try await connect(server))
            try await store.jetStream.limitStream(["duplicate_window": 300_000_000, "discard": "old"])
            for count in [1, 100] { try await emitLosingAcknowledgements(count, emitter, proxy, store) }
            await proxy.stop()
        }
    }

    @Test(
        "an event that was never stored is sent again, also where others of the stream were deleted",
        arguments: NATSServers.all,
        [0, 1]
    )
    func neverStored(binary: NATSServers.Binary, gaps: Int) async throws {
        try await withLink(binary) { proxy, emitter, store in
            for number in 0..<gaps + 1 { try await emitter.emit(try EventType("user.gap\(number)"), [:]) }
            if gaps > 0 { _ = try await store.purge(matching: EventPattern("events.user.gap0")) }
            let before = try await store.state()
            // It is under way when the link is lost, and another party's is stored meanwhile.
            proxy.treat { $0.bytesPerSecondUp = 1 }
            async let position = emitter.emit("user.single", ["n": 1])
            let other = PendingMessage(subject: "events.user.other", payload: Array("{}".utf8), messageID: "other")
            _ = try await store.append(other, deadline: .seconds(10))
            try await outlastWindow()
            proxy.treat { $0.bytesPerSecondUp = nil }
            proxy.cut()
            #expect(try await position.sequence == before.lastSequence + 2)
            #expect(try await store.state().messages == before.messages + 2)
        }
    }

    @Test("a large event goes once over a slow line behind a leaf node, alone and in a batch")
    func slowLeaf() async throws {
        let proxy = Mutex<TCPProxy?>(nil)
        try await withHubAndLeaf(
            NATSServers.current,
            .both,
            way: { port in
                let started = try await TCPProxy.start(before: port, pieces: 2_048)
                proxy.withLock { $0 = started }
                return started.port
            },
            { hub, leaf in
                let proxy = try #require(proxy.withLock { $0 })
                let store = JetStreamStore(try await connect(hub))
                _ = try await store.open(PersistentEventBus.Configuration())
                let transport = NATSTransport(try await connect(leaf))
                let behind = JetStreamStore(transport.connection, domain: "hub")
                try await eventually("the line to be up") {
                    (try? await behind.open(PersistentEventBus.Configuration())) != nil
                }
                let emitter = try await PersistentEventBus.open(transport: transport, store: behind, node: "n")
                // Random, for servers compress what goes to a leaf: it takes longer than an attempt waits at a server.
                let size = 400_000
                var generator = SeededGenerator(seed: 1)
                let pad = String(
                    (0..<size).map { _ in Character(Unicode.Scalar(UInt8.random(in: 48..<91, using: &generator))) }
                )
                proxy.treat { $0.bytesPerSecondUp = 60_000 }
                let before = proxy.up.bytes
                try await emitter.emit("user.single", ["p": .init(pad)])
                _ = try await emitter.emit(contentsOf: [Event("user.batch", data: ["p": .init(pad)])])
                #expect(try await store.state().messages == 2)
                #expect(proxy.up.bytes - before < size * 5 / 2, "\(proxy.up.bytes - before)")
                await transport.close()
                await proxy.stop()
            }
        )
    }

    @Test("what a link brings before it is lost is kept: reading comes to the end over many connections")
    func readingGoesOn() async throws {
        try await withServer(NATSServers.current) { server in
            let emitter = try await open(server.url)
            let pad = JSONValue(String(repeating: "x", count: 10_000))
            try await emitter.emit(contentsOf: (0..<300).map { Event("user.batch", data: ["n": .init($0), "p": pad]) })
            let proxy = try await TCPProxy.start(before: server.port)
            proxy.treat { $0.cutAfter = 200_000...400_000 }
            let store = JetStreamStore(try await connect(at: proxy.url))
            let found = try await store.first(4_096, matching: .all, from: .sequence(1), timeout: .seconds(30))
            #expect(found.map(\.sequence) == Array(1...300))
            #expect(proxy.cuts > 5)
            await proxy.stop()
        }
    }

    @Test(
        "large events: a reading is as large as it may be in bytes, a page ends early, all come",
        arguments: NATSServers.all
    )
    func bytes(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let emitter = try await open(server.url)
            let (count, size) = (40, 500_000)
            let pad = JSONValue(String(repeating: "x", count: size))
            try await emitter.emit(contentsOf: (0..<count).map { Event("user.big", data: ["n": .init($0), "p": pad]) })
            let store = JetStreamStore(try await connect(server))
            let part = try await store.first(
                1_000,
                maximumBytes: 4 << 20,
                matching: .all,
                from: .sequence(1),
                timeout: .seconds(30)
            )
            #expect(part.isCutShort)
            let bytes = part.messages.reduce(0) { $0 + $1.payload.count }
            #expect(bytes >= 4 << 20 && bytes < 32 << 20, "\(bytes)")
            #expect(part.messages.map(\.sequence) == Array(1...UInt64(part.messages.count)))
            let history = EventHistory(store: store, logger: quiet)
            var sequences: [UInt64] = []
            for try await stored in history.events() { sequences.append(stored.sequence) }
            #expect(sequences == Array(1...UInt64(count)))
            // Of a page that any caller asks for it is 64 MiB.
            var query = EventHistory.Query(limit: 1_000)
            query.byteLimit = 8 << 20
            let page = try await history.page(query)
            #expect(page.events.count < count && page.events.count * size > 7 << 20, "\(page.events.count)")
            #expect(page.events.last?.sequence == UInt64(count))
            query = EventHistory.Query(limit: 1_000, before: page.cursor)
            let rest = try await history.page(query)
            #expect(rest.events.map(\.sequence) + page.events.map(\.sequence) == Array(1...UInt64(count)))
        }
    }
}
