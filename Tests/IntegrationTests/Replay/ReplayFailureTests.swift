import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import TestSupport
import Testing

@Suite("Replay and history when things go wrong", .timeLimit(.minutes(3)))
struct ReplayFailureTests {
    /// Expects an error with a code from history and replay alike, each within a time.
    private func expect(
        _ code: MeshEventsError.Code,
        _ store: JetStreamStore,
        matching pattern: EventPattern = .all,
        within limit: Duration = .seconds(4),
        sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        let history = EventHistory(store: store, logger: quiet)
        let replay = EventReplay(store: store, logger: quiet)
        let calls: [(String, () async throws -> Void)] = [
            ("newest", { _ = try await history.newest(5, matching: pattern) }),
            ("first", { _ = try await history.first(5, matching: pattern, since: .epoch) }),
            ("several", { _ = try await history.page(.init(matching: [pattern, "events.node.x"])) }),
            ("events", { for try await _ in history.events(matching: [pattern]) {} }),
            ("replay", { _ = try await replay.open(matching: pattern) }),
        ]
        for (name, call) in calls {
            let start = ContinuousClock.now
            do {
                try await call()
                Issue.record("\(name): expected \(code), nothing was thrown", sourceLocation: sourceLocation)
            } catch let error as MeshEventsError {
                #expect(error.code == code, "\(name): \(error)", sourceLocation: sourceLocation)
                #expect(error.message.count > 20, "a sentence: \(error.message)", sourceLocation: sourceLocation)
            } catch {
                Issue.record("\(name): expected \(code), not \(error)", sourceLocation: sourceLocation)
            }
            #expect(.now - start < limit, "\(name) took \(.now - start)", sourceLocation: sourceLocation)
        }
    }

    @Test("JetStream off", arguments: NATSServers.all)
    func jetStreamOff(binary: NATSServers.Binary) async throws {
        try await withStore(binary, .init(jetStream: false)) { store, _, _ in
            await expect(.persistenceUnavailable, store)
        }
    }

    @Test("no stream", arguments: NATSServers.all)
    func noStream(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, _, _ in await expect(.streamNotFound, store) }
    }

    @Test("a stream that does not cover the pattern", arguments: NATSServers.all)
    func uncovered(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, _, _ in
            let narrow = StreamConfiguration(name: "MESH_EVENTS", subjects: ["events.tool.>"])
            _ = try await store.jetStream.createStream(narrow)
            _ = try await store.append(
                subject: "events.tool.x",
                payload: Array(#"{"node":"n"}"#.utf8),
                messageID: "1",
                deadline: .seconds(5)
            )
            await expect(.streamMismatch, store)
            await expect(.streamMismatch, store, matching: "events.user.>")
            let history = EventHistory(store: store, logger: quiet)
            #expect(try await history.newest(5, matching: "events.tool.*").count == 1)
            #expect(try await history.first(5, matching: "events.tool.x", since: .epoch).count == 1)
        }
    }

    @Test("no permission for the API, or for its pull requests alone", arguments: NATSServers.all)
    func permissions(binary: NATSServers.Binary) async throws {
        let users = """
            authorization {
              users: [
                { user: all, password: b }
                { user: none, password: b, permissions: { publish: { deny: ["$JS.API.>"] } } }
                { user: pull, password: b, permissions: { publish: { deny: ["$JS.API.CONSUMER.MSG.NEXT.>"] } } }
              ]
            }
            """
        try await withServer(binary, .init(extraConfiguration: users)) { server in
            func connect(_ user: String) async throws -> NATSTransport {
                try await NATSTransport.connect(to: server.url.replacing("nats://", with: "nats://\(user):b@"))
            }
            let all = try await connect("all")
            let bus = try await PersistentEventBus.open(transport: all, node: "n", logger: quiet)
            try await bus.emit("user.n", ["seq": 0])
            let none = try await connect("none")
            await expect(.permissionDenied, JetStreamStore(none.connection))
            let pull = try await connect("pull")
            let replay = try await EventReplay(store: JetStreamStore(pull.connection), logger: quiet).open()
            let error = await #expect(throws: MeshEventsError.self) {
                try await withDeadline(.seconds(8), "an error") { for try await _ in replay {} }
            }
            #expect(error?.code == .permissionDenied, "\(String(describing: error))")
            for transport in [all, none, pull] { await transport.close() }
        }
    }

    @Test("the stream is deleted under a replay: an error says so", arguments: NATSServers.all)
    func deleted(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            let bus = try await PersistentEventBus.open(transport: transport, node: "n", logger: quiet)
            for number in 0..<5 { try await bus.emit("user.n", ["seq": .init(number)]) }
            let record = ReplayRecord()
            let task = record.follow(try await bus.replay())
            try await eventually("what is stored") { record.count == 5 }
            try await store.jetStream.deleteStream(store.streamName)
            let error = await #expect(throws: MeshEventsError.self) {
                try await withDeadline(.seconds(20), "an error") { try await task.value }
            }
            #expect(error?.code == .streamNotFound)
        }
    }

    @Test(
        "the stream is created again under a replay, with more events than were read: a reset, then all of them",
        arguments: NATSServers.all,
        [true, false]
    )
    func replaced(binary: NATSServers.Binary, mayCreateConsumers: Bool) async throws {
        let users = """
            no_auth_user: owner
            authorization { users: [
              { user: owner, password: "x" }
              { user: reader, password: "x", permissions: { publish: { deny: ["$JS.API.CONSUMER.CREATE.>"] } } }
            ] }
            """
        try await withStore(binary, .init(extraConfiguration: users)) { store, transport, server in
            var login = NATSConnection.Configuration(servers: try ServerAddress.list(server.url))
            if !mayCreateConsumers { login.authentication = .userPassword(user: "reader", password: "x") }
            let reader = try await NATSTransport.connect(login)
            let bus = try await PersistentEventBus.open(transport: transport, node: "n", logger: quiet)
            for number in 0..<3 { try await bus.emit("user.n", ["seq": .init(number)]) }
            let replay = try await EventReplay(store: JetStreamStore(reader.connection), logger: quiet).open()
            var iterator = replay.makeAsyncIterator()
            var before: [ReplayElement] = []
            while before.last != .caughtUp, let element = try await iterator.next() { before.append(element) }
            #expect(before.compactMap { $0.event?.sequence } == [1, 2, 3])
            try await store.jetStream.deleteStream(store.streamName)
            _ = try await store.open(PersistentEventBus.Configuration())
            for number in 0..<7 { try await bus.emit("user.n", ["seq": .init(number)]) }
            let created = try await store.state().created
            let elements = try await withDeadline(.seconds(30), "the other stream's events") {
                var iterator = replay.makeAsyncIterator()
                var elements: [ReplayElement] = []
                while elements.count < 8, let element = try await iterator.next() { elements.append(element) }
                return elements
            }
            #expect(elements.first == .reset(ReplayReset(created: created)))
            #expect(elements.compactMap { $0.event?.sequence } == Array(1...7))
            replay.cancel()
            await reader.close()
        }
    }

    @Test("the connection is closed under a replay: it throws closed")
    func closed() async throws {
        try await withStore(NATSServers.first) { _, transport, _ in
            let bus = try await PersistentEventBus.open(transport: transport, node: "n", logger: quiet)
            let replay = try await bus.replay()
            let task = ReplayRecord().follow(replay)
            await transport.close()
            let error = await #expect(throws: MeshEventsError.self) {
                try await withDeadline(.seconds(5), "the end") { try await task.value }
            }
            #expect(error?.code == .closed)
            await #expect(throws: MeshEventsError.self) { _ = try await bus.replay() }
        }
    }

    @Test("cursors beyond the ends are answered at once, whatever the number", arguments: NATSServers.all)
    func cursors(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            let bus = try await PersistentEventBus.open(transport: transport, node: "n", logger: quiet)
            for number in 0..<5 { try await bus.emit("user.n", ["seq": .init(number)]) }
            for cursor in [0, 1, 5, 6, 7, 1 << 40, UInt64.max - 1, .max] as [UInt64] {
                for end in [EventHistory.End.newest, .oldest] {
                    let before = try await bus.history(.init(end: end, before: cursor)).events.map(\.sequence)
                    #expect(before == (1...5).filter { $0 < cursor }, "before \(cursor)")
                    let after = try await bus.history(.init(end: end, after: cursor)).events.map(\.sequence)
                    #expect(after == (1...5).filter { $0 > cursor }, "after \(cursor)")
                }
            }
        }
    }
}
