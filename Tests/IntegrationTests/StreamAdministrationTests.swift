import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import TestSupport
import Testing

@Suite("Care of the stream", .timeLimit(.minutes(2)))
struct StreamAdministrationTests {
    private func openFailure(_ store: JetStreamStore, _ configuration: PersistentEventBus.Configuration) async
        -> MeshEventsError?
    {
        do throws(MeshEventsError) {
            _ = try await store.open(configuration)
            return nil
        } catch {
            return error
        }
    }

    @Test("an existing stream is kept, changed or refused, as asked", arguments: NATSServers.all)
    func reconciliation(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let store = JetStreamStore(try await connect(server))
            #expect(try await store.open(.init()).created)
            var other = PersistentEventBus.Configuration(
                maximumAge: .seconds(3600),
                maximumMessages: 50,
                maximumBytes: 1 << 20
            )
            let kept = try await store.open(other)
            #expect(!kept.created && Set(kept.differences.map(\.field)) == ["max_age", "max_bytes", "max_msgs"])
            other.reconcile = .fail
            let refused = await openFailure(store, other)
            #expect(refused?.code == .streamMismatch && refused?.message.contains("max_age") == true)
            other.reconcile = .update
            #expect(try await store.open(other).differences == [])
            let found = try await store.report().configuration
            #expect(found.maximumAge == .seconds(3600) && found.maximumMessages == 50 && found.maximumBytes == 1 << 20)
            other.storage = .memory
            let fixed = await openFailure(store, other)
            #expect(fixed?.code == .streamMismatch && fixed?.message.contains("storage") == true)
            // Back to the default: a Go node finds nothing to complain about.
            #expect(try await store.open(.init(reconcile: .update)).differences == [])
        }
    }

    @Test("every setting reaches the stream", arguments: NATSServers.all)
    func settings(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let store = JetStreamStore(try await connect(server))
            let asked = PersistentEventBus.Configuration(
                maximumAge: nil,
                maximumMessages: nil,
                maximumBytes: 1_000_000,
                storage: .memory,
                duplicateWindow: .seconds(10)
            )
            _ = try await store.open(asked)
            let found = try await store.report().configuration
            #expect(found.maximumAge == nil && found.maximumMessages == nil && found.maximumBytes == 1_000_000)
            #expect(found.storage == .memory && found.duplicateWindow == .seconds(10))
        }
    }

    @Test("values out of range are refused with a reason")
    func badValues() async throws {
        try await withServer { server in
            let store = JetStreamStore(try await connect(server))
            for bad in [
                PersistentEventBus.Configuration(maximumAge: .zero), .init(maximumMessages: -1), .init(maximumBytes: 0),
                .init(replicas: 0), .init(replicas: 6), .init(duplicateWindow: .milliseconds(1)),
                .init(maximumAge: .seconds(60), duplicateWindow: .seconds(61)), .init(acknowledgementWindow: 0),
            ] {
                #expect(await openFailure(store, bad)?.code == .invalidArgument)
            }
            #expect(try await store.open(.init()).created)
        }
    }

    @Test(
        "a report tells counts, times and the lag of consumers; a purge deletes what matches",
        arguments: NATSServers.all
    )
    func report(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let transport = NATSTransport(try await connect(server))
            let persistent = try await PersistentEventBus.open(transport: transport, node: "a", logger: quiet)
            let jetStream = JetStream(connection: transport.connection)
            let batch = (0..<30).map { Event($0 % 3 == 0 ? "user.a" : "user.b", data: ["n": .init($0)]) }
            try await persistent.emit(contentsOf: batch)
            var consumer = ConsumerConfiguration.reader(start: .sequence(1), filterSubjects: ["events.user.a"])
            consumer.durableName = "alerts"
            _ = try await jetStream.createConsumer(consumer, on: "MESH_EVENTS")
            let report = try await persistent.report()
            #expect(report.subjects == ["events.user.a": 10, "events.user.b": 20])
            #expect(report.state.messages == 30 && report.state.bytes > 1000)
            let (first, last) = (try #require(report.firstTime), try #require(report.lastTime))
            #expect(first < last && last <= Timestamp.now.adding(.seconds(1)))
            #expect(report.consumers.map(\.name) == ["alerts"])
            #expect(report.consumers.first?.pending == 10 && report.consumers.first?.isDurable == true)
            #expect(try await persistent.purge(matching: "events.user.b") == 20)
            #expect(try await persistent.report().subjects == ["events.user.a": 10])
            #expect(try await persistent.purge(matching: .all) == 10)
            let empty = try await persistent.report()
            #expect(empty.firstTime == nil && empty.subjects.isEmpty && empty.state.firstSequence == 31)
        }
    }
}
