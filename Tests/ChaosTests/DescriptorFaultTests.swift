import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import TestSupport
import Testing

@Suite("Faults of descriptors", .serialized, .timeLimit(.minutes(5)))
struct DescriptorFaultTests {
    /// A process of ours without any is not tried: on Linux libdispatch itself traps then, see README.
    @Test("the server has no descriptor left: who is connected goes on, who was cut off waits and loses nothing")
    func serverOutOfDescriptors() async throws {
        try await withServer(NATSServers.current, .init(syncsEachWrite: false)) { server in
            let proxy = try await TCPProxy.start(before: server.port)
            let count = ChaosScale.number(2_000, full: 50_000)
            let witness = try await Witness(try await openBus(at: server.url, node: "reader"))
            let connected = try await openBus(at: server.url)
            let cutOff = try await openBus(at: proxy.url)
            let store = JetStreamStore(try await connect(server))
            _ = try await cutOff.emit(contentsOf: numbered(0..<1))

            let shortage = try DescriptorShortage(of: try #require(server.pid), listeningOn: server.port, spare: 4)
            defer { shortage.end() }
            // More than there are descriptors: the others stand in the queue, before anybody who comes later.
            try shortage.connect(40)

            var newcomer = try configuration(server)
            newcomer.connectTimeout = .seconds(1)
            let start = ContinuousClock.now
            do throws(NATSError) {
                _ = try await NATSConnection.connect(newcomer, logger: quiet)
                Issue.record("a newcomer got a descriptor that there was not")
            } catch {
                #expect(error.code == .timeout || error.code == .connectionFailed, "\(error)")
            }
            #expect(ContinuousClock.now - start < .seconds(5))

            let (connections, cuts) = (proxy.connections, proxy.cuts)
            proxy.cut()
            // What is emitted before the link is cut arrives.
            try await eventually("the link to be cut") { proxy.cuts > cuts }
            async let late = cutOff.emit(contentsOf: numbered(1..<count / 2))
            let positions = try await connected.emit(contentsOf: numbered(count / 2..<count))
            try await eventually("the one cut off to try again") { proxy.connections > connections }
            let soFar = Int(try await store.state().lastSequence)
            #expect(soFar == 1 + positions.count, "who was cut off cannot have emitted")

            shortage.end()
            let acknowledged = try await 1 + late.count + positions.count
            let stored = try await witness.catchUp(store)
            #expect(stored == count && acknowledged == count)
            #expect(witness.numbers.sorted() == Array(0..<count))
            var row = ChaosRow("server out of file descriptors")
            (row.sent, row.acknowledged, row.stored, row.received) = (count, acknowledged, stored, witness.count)
            row.note = "half of them by an emitter that was cut off meanwhile"
            row.report()
            await witness.stop()
            await proxy.stop()
        }
    }
}
