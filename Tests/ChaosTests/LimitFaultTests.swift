import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import TestSupport
import Testing

/// Servers and streams with limits: what fits is stored, what does not is refused, and what is said of each is so.
@Suite("Limits of servers and streams", .serialized, .timeLimit(.minutes(5)))
struct LimitFaultTests {
    @Test("a server's max_request_batch: all is emitted, replayed and read")
    func requestBatch() async throws {
        let directory = try TemporaryDirectory()
        let jetStream = "jetstream { store_dir: \"\(directory.path)\", limits { max_request_batch: 500 } }"
        try await withServer(NATSServers.current, .init(jetStream: false, extraConfiguration: jetStream)) { server in
            let count = ChaosScale.number(2_500, full: 20_000)
            let emitter = try await openBus(at: server.url)
            let witness = try await Witness(try await openBus(at: server.url, node: "reader"))
            let store = JetStreamStore(try await connect(server))
            var tally = EmitTally()
            #expect(await tally.emitBatch(on: emitter, paddings: Array(repeating: 0, count: count)) == nil)
            #expect(try await witness.catchUp(store) == count)
            #expect(witness.numbers == Array(0..<count))
            let row = try await tally.row("max_request_batch of 500", store, note: "a replay has all")
            #expect(row.acknowledged == count && row.stored == count)
            row.report()
            await witness.stop()
        }
    }

    @Test("a stream's max_bytes with discard new: emits beyond it are refused, and go on when there is room")
    func fullStream() async throws {
        try await withServer(NATSServers.current) { server in
            let emitter = try await openBus(at: server.url)
            let connection = try await connect(server)
            let (store, jetStream) = (JetStreamStore(connection), JetStream(connection: connection))
            try await jetStream.limitStream(["max_bytes": 200_000])
            var tally = EmitTally()
            let error = await tally.emitBatch(on: emitter, paddings: Array(repeating: 1_000, count: 400))
            #expect(error?.code == .storageFull && error?.isRetriable == true, "\(String(describing: error))")
            let fitting = tally.acknowledged.count
            #expect(fitting > 100 && fitting < 200, "\(fitting)")
            for _ in 0..<10 {
                let error = await tally.emit(on: emitter, padding: 1_000)
                #expect(error?.code == .storageFull, "\(String(describing: error))")
            }
            try await jetStream.limitStream(["max_bytes": 10_000_000])
            #expect(await tally.emitBatch(on: emitter, paddings: Array(repeating: 1_000, count: 100)) == nil)
            for _ in 0..<10 { #expect(await tally.emit(on: emitter, padding: 1_000) == nil) }
            let row = try await tally.row("stream full (max_bytes, discard new), then with room", store)
            #expect(row.acknowledged == fitting + 110 && row.stored == fitting + 110)
            row.report()
        }
    }

    /// Emits 60 events one by one; every third has so many bytes, and is refused for that.
    private func emitSixty(_ tally: inout EmitTally, on emitter: PersistentEventBus, tooLarge: Int) async {
        for number in 0..<60 {
            let isTooLarge = number.isMultiple(of: 3)
            let error = await tally.emit(on: emitter, padding: isTooLarge ? tooLarge : 1_000)
            #expect(error?.code == (isTooLarge ? .payloadTooLarge : nil), "\(String(describing: error))")
        }
    }

    @Test("a stream's max_msg_size: what is larger is refused as such, all else is stored")
    func messageSize() async throws {
        try await withServer(NATSServers.current) { server in
            let emitter = try await openBus(at: server.url)
            let connection = try await connect(server)
            let (store, jetStream) = (JetStreamStore(connection), JetStream(connection: connection))
            try await jetStream.limitStream(["max_msg_size": 5_000])
            var tally = EmitTally()
            await emitSixty(&tally, on: emitter, tooLarge: 10_000)
            let paddings = Array(repeating: 1_000, count: 100) + [10_000]
            let error = await tally.emitBatch(on: emitter, paddings: paddings)
            #expect(error?.code == .payloadTooLarge, "\(String(describing: error))")
            let row = try await tally.row("max_msg_size of a stream", store)
            #expect(row.acknowledged == 140 && row.stored == 140)
            row.report()
        }
    }

    @Test("a server's max_payload: what is larger is not sent, all else is stored")
    func payload() async throws {
        let configuration = LocalNATSServer.Configuration(extraConfiguration: "max_payload: 65536")
        try await withServer(NATSServers.current, configuration) { server in
            let emitter = try await openBus(at: server.url)
            let store = JetStreamStore(try await connect(server))
            var tally = EmitTally()
            await emitSixty(&tally, on: emitter, tooLarge: 100_000)
            let paddings = Array(repeating: 60_000, count: 50) + [100_000] + Array(repeating: 1_000, count: 50)
            let error = await tally.emitBatch(on: emitter, paddings: paddings)
            #expect(error?.code == .payloadTooLarge, "\(String(describing: error))")
            #expect(tally.unknown == [110], "the one that ended the batch, at most")
            let row = try await tally.row("max_payload of a server", store)
            #expect(row.acknowledged == 90 && row.stored == 90)
            row.report()
        }
    }

    @Test("a server's max_subscriptions: those beyond are refused, those before and all emits go on")
    func subscriptions() async throws {
        let configuration = LocalNATSServer.Configuration(extraConfiguration: "max_subscriptions: 20")
        try await withServer(NATSServers.current, configuration) { server in
            let emitter = try await openBus(at: server.url)
            let store = JetStreamStore(try await connect(server))
            let reader = EventBus(transport: NATSTransport(try await connect(server)), node: "reader", logger: quiet)
            var held: [EventSubscription] = []
            let wanted = 40
            for _ in 0..<wanted {
                do throws(MeshEventsError) {
                    held.append(try await reader.subscribe(to: "events.user.chaos"))
                } catch {
                    #expect(error.message.lowercased().contains("maximum subscriptions"), "\(error)")
                }
            }
            // One is the connection's own inbox.
            #expect(held.count == 19)
            var tally = EmitTally()
            for _ in 0..<100 { #expect(await tally.emit(on: emitter) == nil) }
            #expect(await tally.emitBatch(on: emitter, paddings: Array(repeating: 0, count: 400)) == nil)
            for subscription in held {
                try await subscription.drain()
                var numbers: [Int] = []
                for try await event in subscription { numbers.append(event.data["n"]?.int ?? -1) }
                #expect(numbers == Array(0..<500))
            }
            let note = "\(held.count) subscriptions have all, \(wanted - held.count) were refused"
            let row = try await tally.row("max_subscriptions of a server", store, note: note)
            #expect(row.acknowledged == 500 && row.stored == 500)
            row.report()
            await reader.close()
        }
    }
}
