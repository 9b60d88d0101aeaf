import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import Synchronization
import TestSupport
import Testing

/// A hub and a leaf node that each keep every event, without domains, so that no answer says whose it is: what counts is
/// the hub's stream.
@Suite("A leaf with a stream of the same name", .serialized, .timeLimit(.minutes(5)))
struct TwoStreamFaultTests {
    /// Runs `body` with an emitter at the hub, once both keep its events.
    private func withBoth(
        way: (Int) async throws -> Int = { $0 },
        _ body: (_ emitter: PersistentEventBus, _ hub: NATSConnection, _ leaf: JetStream) async throws -> Void
    ) async throws {
        try await withHubAndLeaf(NATSServers.current, .neither, way: way) { hub, leaf in
            let transport = NATSTransport(try await connect(hub))
            let store = JetStreamStore(transport.connection)
            let emitter = try await PersistentEventBus.open(
                transport: transport,
                store: store,
                node: "emitter",
                configuration: .init(maximumMessages: nil),
                logger: quiet
            )
            // The sequences of the two are to differ.
            for _ in 0..<7 { try await emitter.emit("user.before") }
            let other = try await openBus(at: leaf.url, node: "leaf")
            let connection = try await connect(hub)
            let kept = JetStream(connection: try await connect(leaf))
            try await waitUntilKept(by: kept, from: connection)
            // Without domains, what is promised begins with the other stream's first answer.
            try await eventually("the other stream's answer to be noticed") {
                try await emitter.emit("user.before")
                // A slow other one must not fall behind by more answers than are remembered.
                try await Task.sleep(for: .milliseconds(100))
                return store.hasOtherStream
            }
            try await body(emitter, connection, kept)
            await other.close()
            await emitter.close()
            await transport.close()
            await connection.close()
            await kept.connection.close()
        }
    }

    @Test("the hub's stream is full and the leaf's is not: the leaf's acknowledgements count for nothing")
    func fullHub() async throws {
        try await withBoth { emitter, connection, leaf in
            let hub = JetStream(connection: connection)
            let room = 50
            try await hub.leaveRoom(for: room)
            var tally = EmitTally()
            for number in 0..<room {
                let error = await tally.emit(on: emitter)
                #expect(error == nil, "\(number): \(String(describing: error))")
            }
            for _ in 0..<30 {
                let error = await tally.emit(on: emitter)
                #expect(error?.code == .storageFull, "\(String(describing: error))")
            }
            let error = await tally.emitBatch(on: emitter, paddings: Array(repeating: 0, count: 200))
            #expect(error?.code == .storageFull, "\(String(describing: error))")
            try await hub.leaveRoom(for: 1_000)
            #expect(await tally.emitBatch(on: emitter, paddings: Array(repeating: 0, count: 200)) == nil)
            let others = try await leaf.streamInfo("MESH_EVENTS").state.messages
            let note = "the leaf's stream has \(others)"
            let row = try await tally.row("two streams, the hub's full", JetStreamStore(connection), note: note)
            #expect(others > UInt64(row.stored ?? 0), "the leaf took what the hub did not")
            #expect(row.acknowledged == room + 200 && row.stored == room + 200)
            row.report()
        }
    }

    @Test("the leaf's link is cut again and again: each emit is told the hub's sequence, stored once")
    func cutLeaf() async throws {
        let link = Mutex<TCPProxy?>(nil)
        func proxied(_ port: Int) async throws -> Int {
            let proxy = try await TCPProxy.start(before: port)
            link.withLock { $0 = proxy }
            return proxy.port
        }
        try await withBoth(way: proxied) { emitter, connection, leaf in
            let proxy = try #require(link.withLock { $0 })
            let stop = Counter()
            let emitting = Task {
                var tally = EmitTally()
                while stop.count == 0 {
                    await tally.emit(on: emitter)
                    await tally.emitBatch(on: emitter, paddings: Array(repeating: 0, count: 20))
                }
                return tally
            }
            let cuts = ChaosScale.number(3, full: 10)
            for round in 1...cuts {
                let connections = proxy.connections
                let before = try await leaf.streamInfo("MESH_EVENTS").state.messages
                proxy.cut()
                try await eventually("the leaf to be back after cut \(round)") {
                    guard proxy.connections > connections else { return false }
                    return try await leaf.streamInfo("MESH_EVENTS").state.messages > before
                }
            }
            stop.add()
            let tally = await emitting.value
            #expect(tally.refused.isEmpty && tally.unknown.isEmpty)
            let row = try await tally.row("two streams, the leaf's link cut \(cuts) times", JetStreamStore(connection))
            #expect(row.acknowledged == row.sent && row.stored == row.sent)
            row.report()
            await proxy.stop()
        }
    }
}
