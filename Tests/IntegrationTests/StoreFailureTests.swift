import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import Synchronization
import TestSupport
import Testing

/// Runs `body` with a store and a transport on a fresh server.
func withStore(
    _ binary: NATSServers.Binary,
    _ configuration: LocalNATSServer.Configuration = .init(),
    _ body: (JetStreamStore, NATSTransport, LocalNATSServer) async throws -> Void
) async throws {
    try await withServer(binary, configuration) { server in
        let transport = try await NATSTransport.connect(to: server.url)
        try await body(JetStreamStore(transport.connection), transport, server)
        await transport.close()
    }
}

/// Expects a MeshEventsError with a code, within a time: well below the deadline the call was given, and far above what
/// it needs, since many servers share the machine during a test run.
private func expectError(
    _ code: MeshEventsError.Code,
    within limit: Duration,
    _ body: () async throws -> Void,
    sourceLocation: SourceLocation = #_sourceLocation
) async {
    let start = ContinuousClock.now
    do {
        try await body()
        Issue.record("expected \(code), nothing was thrown", sourceLocation: sourceLocation)
    } catch let error as MeshEventsError {
        #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
        #expect(error.message.count > 20, "a sentence: \(error.message)", sourceLocation: sourceLocation)
    } catch {
        Issue.record("expected \(code), not \(error)", sourceLocation: sourceLocation)
    }
    #expect(.now - start < limit, "it took \(.now - start)", sourceLocation: sourceLocation)
}

@Suite("The store when things go wrong", .timeLimit(.minutes(3)))
struct StoreFailureTests {
    private let event = Array(#"{"type":"user.x","node":"n","timestamp":"2026-01-01T00:00:00Z","data":{}}"#.utf8)

    @Test("JetStream off: opening, emitting and reading say so, none of them hangs", arguments: NATSServers.all)
    func jetStreamOff(binary: NATSServers.Binary) async throws {
        try await withStore(binary, .init(jetStream: false)) { store, transport, _ in
            await expectError(.persistenceUnavailable, within: .seconds(10)) {
                _ = try await PersistentEventBus.open(transport: transport, node: "n")
            }
            await expectError(.persistenceUnavailable, within: .seconds(10)) {
                _ = try await store.newest(5, matching: .all, before: nil, timeout: .seconds(10))
            }
            await expectError(.persistenceUnavailable, within: .seconds(15)) {
                _ = try await store.append(
                    subject: "events.user.x",
                    payload: event,
                    messageID: "1",
                    deadline: .seconds(30)
                )
            }
        }
    }

    @Test("no stream: emitting says so at once, with and without plain subscribers", arguments: NATSServers.all)
    func noStream(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, transport, _ in
            await expectError(.streamNotFound, within: .seconds(10)) {
                _ = try await store.append(
                    subject: "events.user.x",
                    payload: event,
                    messageID: "1",
                    deadline: .seconds(30)
                )
            }
            // A subscriber takes the event and acknowledges nothing.
            let bus = EventBus(transport: transport, node: "n")
            let subscription = try await bus.subscribe()
            await expectError(.streamNotFound, within: .seconds(15)) {
                _ = try await store.append(
                    subject: "events.user.x",
                    payload: event,
                    messageID: "1",
                    deadline: .seconds(30)
                )
            }
            subscription.cancel()
        }
    }

    @Test("a stream that does not cover the subject, or another that does: streamMismatch", arguments: NATSServers.all)
    func uncovered(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, _, _ in
            let narrow = StreamConfiguration(name: "MESH_EVENTS", subjects: ["events.tool.>"])
            _ = try await store.jetStream.createStream(narrow)
            let opening = try await store.open(PersistentEventBus.Configuration(maximumAge: nil, maximumMessages: nil))
            #expect(!opening.created)
            #expect(opening.differences.map(\.field) == ["subjects"])
            #expect(opening.differences.first?.found == #"["events.tool.>"]"#)
            await expectError(.streamMismatch, within: .seconds(10)) {
                _ = try await store.append(
                    subject: "events.user.x",
                    payload: event,
                    messageID: "1",
                    deadline: .seconds(30)
                )
            }
            let other = JetStreamStore(store.jetStream.connection, streamName: "OTHER")
            await expectError(.streamMismatch, within: .seconds(10)) {
                _ = try await other.open(PersistentEventBus.Configuration(streamName: "OTHER"))
            }
            await expectError(.streamMismatch, within: .seconds(10)) {
                _ = try await other.append(
                    subject: "events.tool.x",
                    payload: event,
                    messageID: "2",
                    deadline: .seconds(30)
                )
            }
        }
    }

    @Test("a full stream: storageFull, retriable, at once", arguments: NATSServers.all)
    func full(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, _, _ in
            var small = StreamConfiguration(name: "MESH_EVENTS", subjects: ["events.>"])
            small.maximumMessages = 2
            small.fields["discard"] = "new"
            _ = try await store.jetStream.createStream(small)
            for number in 1...2 {
                let position = try await store.append(
                    subject: "events.user.x",
                    payload: event,
                    messageID: "\(number)",
                    deadline: .seconds(5)
                )
                #expect(position.sequence == UInt64(number))
            }
            await expectError(.storageFull, within: .seconds(10)) {
                _ = try await store.append(
                    subject: "events.user.x",
                    payload: event,
                    messageID: "3",
                    deadline: .seconds(30)
                )
            }
        }
    }

    @Test("no permission for the API: permissionDenied, at once", arguments: NATSServers.all)
    func permissions(binary: NATSServers.Binary) async throws {
        let denied = """
            authorization {
              users: [ { user: a, password: b, permissions: { publish: { deny: ["$JS.API.>"] } } } ]
            }
            """
        try await withServer(binary, .init(extraConfiguration: denied)) { server in
            let url = server.url.replacing("nats://", with: "nats://a:b@")
            let transport = try await NATSTransport.connect(to: url)
            await expectError(.permissionDenied, within: .seconds(10)) {
                _ = try await PersistentEventBus.open(transport: transport, node: "n")
            }
            await transport.close()
        }
    }

    @Test("a payload above the server's limit: payloadTooLarge, nothing sent", arguments: NATSServers.all)
    func tooLarge(binary: NATSServers.Binary) async throws {
        try await withStore(binary, .init(maxPayload: 10_000)) { store, _, _ in
            _ = try await store.open(PersistentEventBus.Configuration())
            await expectError(.payloadTooLarge, within: .seconds(10)) {
                _ = try await store.append(
                    subject: "events.user.x",
                    payload: Array(repeating: 0x20, count: 10_001),
                    messageID: "1",
                    deadline: .seconds(30)
                )
            }
            #expect(try await store.state().messages == 0)
        }
    }

    @Test("emits go on over a kill and a restart: each stored once, in order", arguments: NATSServers.all)
    func restart(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        try await withStore(binary, .init(storeDirectory: directory.path)) { store, _, server in
            _ = try await store.open(PersistentEventBus.Configuration())
            let total = 3_000
            let acknowledged = Mutex(0)
            async let emitter: Void = {
                for number in 0..<total {
                    _ = try await store.append(
                        subject: "events.user.x",
                        payload: Array("\(number)".utf8),
                        messageID: "id-\(number)",
                        deadline: .seconds(30)
                    )
                    acknowledged.withLock { $0 = number + 1 }
                }
            }()
            for step in 1...2 {
                try await eventually("some acknowledged events") {
                    acknowledged.withLock { $0 } >= step * 500
                }
                await server.kill()
                try await server.restart()
            }
            try await emitter
            let stored = try await store.first(
                total * 2,
                matching: .all,
                from: .sequence(1),
                timeout: .seconds(20)
            )
            #expect(stored.map { String(decoding: $0.payload, as: UTF8.self) } == (0..<total).map { "\($0)" })
        }
    }

    @Test("the server goes away for good: emitting and reading end at their deadlines")
    func gone() async throws {
        try await withStore(NATSServers.first) { store, _, server in
            _ = try await store.open(PersistentEventBus.Configuration())
            await server.kill()
            await expectError(.timeout, within: .seconds(5)) {
                _ = try await store.append(
                    subject: "events.user.x",
                    payload: event,
                    messageID: "1",
                    deadline: .seconds(2)
                )
            }
            let start = ContinuousClock.now
            await #expect(throws: MeshEventsError.self) {
                _ = try await store.newest(5, matching: .all, before: nil, timeout: .seconds(2))
            }
            #expect(.now - start < .seconds(5))
        }
    }

    @Test("a server that is stopped in the middle of a batch: the deadline counts once, from the last sign of life")
    func stoppedInBatch() async throws {
        try await withStore(NATSServers.current) { store, transport, server in
            var configuration = PersistentEventBus.Configuration()
            configuration.acknowledgementDeadline = .seconds(10)
            let bus = try await PersistentEventBus.open(
                transport: transport,
                store: store,
                node: "n",
                configuration: configuration
            )
            server.suspend()
            let start = ContinuousClock.now
            let error = await #expect(throws: BatchEmitError.self) {
                try await bus.emit(contentsOf: (0..<20).map { Event("user.n", data: ["i": .init($0)]) })
            }
            // The look for what is missing every half second, and one more attempt.
            #expect(.now - start < .seconds(20), "after \(.now - start): \(error as Any)")
            #expect(error?.unconfirmed.count == 20 && error?.cause.code == .timeout, "\(error as Any)")
            server.resume()
        }
    }

    @Test("the store is about one stream, and arguments out of range are refused")
    func arguments() async throws {
        try await withStore(NATSServers.first) { store, _, _ in
            await expectError(.invalidArgument, within: .seconds(5)) {
                _ = try await store.open(PersistentEventBus.Configuration(streamName: "OTHER"))
            }
            await expectError(.invalidArgument, within: .seconds(5)) {
                _ = try await store.open(PersistentEventBus.Configuration(maximumMessages: -1))
            }
            await expectError(.invalidArgument, within: .seconds(5)) {
                _ = try await store.newest(0, matching: .all, before: nil, timeout: .seconds(1))
            }
            await expectError(.invalidPattern, within: .seconds(5)) {
                _ = try await store.newest(1, matching: "events.>.x", before: nil, timeout: .seconds(1))
            }
        }
    }
}
