import MeshConcurrency
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import MeshDashboard

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

@Suite("Connections while file descriptors are scarce")
struct ScarceDescriptorTests {
    @Test("the oldest are closed for new ones, but for a few, and who comes is answered")
    func scarce() async throws {
        var configuration = Dashboard.Configuration(token: Bench.token)
        configuration.descriptors = DescriptorNeeds(kept: { 1 << 30 })
        try await Bench.run(configuration) { bench in
            var held: [HeldConnection] = []
            for _ in 0..<20 {
                held.append(try await HeldConnection(port: bench.client.port, sending: "GET / HTTP/1.1\r\n"))
            }
            defer { for connection in held { connection.close() } }
            try await eventually("all but a few to be closed") {
                held.count { $0.isActive } <= ConnectionTable.Limits().least
            }
            #expect(try await bench.client.get("/healthz").status == 200)
        }
    }

    @Test("a listener that gets no connections for lack of them pauses and says so", arguments: [EMFILE, ENFILE])
    func refused(_ errorNumber: Int32) throws {
        let channel = EmbeddedChannel()
        let said = Locked<[String]>([])
        let gate = AcceptGate("the page", ConnectionTable()) { text in said.withLock { $0.append(text) } }
        try channel.pipeline.syncOperations.addHandler(gate)
        func isReading() -> Bool? {
            channel.options.last { $0.option is ChannelOptions.Types.AutoReadOption }?.value as? Bool
        }
        for _ in 0..<10 {
            channel.pipeline.fireErrorCaught(IOError(errnoCode: errorNumber, reason: "accept"))
            #expect(isReading() == false)
            channel.embeddedEventLoop.advanceTime(by: .seconds(1))
            #expect(isReading() == true)
        }
        #expect(said.withLock { $0.count } == 1)
        #expect(said.withLock { $0.first }?.contains("the page accepts no connections for now, with 0 open") == true)
        #expect(said.withLock { $0.first }?.contains("; raise ") == true)
        channel.embeddedEventLoop.advanceTime(by: .seconds(60))
        channel.pipeline.fireErrorCaught(IOError(errnoCode: errorNumber, reason: "accept"))
        #expect(said.withLock { $0.count } == 2)
        // The end of the listener ends the pause.
        _ = try channel.finish()
        channel.embeddedEventLoop.advanceTime(by: .seconds(60))
        #expect(isReading() == false)
    }

    @Test("other errors are passed on") func otherErrors() throws {
        let channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandler(AcceptGate("the page", ConnectionTable()) { _ in })
        channel.pipeline.fireErrorCaught(IOError(errnoCode: ECONNABORTED, reason: "accept"))
        #expect(throws: IOError.self) { try channel.throwIfErrorCaught() }
        #expect(channel.options.isEmpty)
        _ = try channel.finish()
    }
}
