import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import MeshEventsSigning
import MeshMonitoring
import NATSClient
import TestSupport
import Testing

/// A monitor that is told whom to trust: what others say of a node changes nothing, and is counted.
@Suite(.timeLimit(.minutes(2))) struct ForgedEventTests {
    private let key = NodeSigningKey.generate()

    private func bus(_ transport: NATSTransport, signer: NodeSigningKey?) async throws -> PersistentEventBus {
        try await PersistentEventBus.open(
            transport: transport,
            node: "pi",
            busConfiguration: EventBus.Configuration(signer: signer)
        )
    }

    @Test(arguments: NATSServers.all)
    func aForgedEventChangesNothing(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            var trust = TrustList()
            try trust.trust("pi", key: key.publicKey)
            let transport = try await NATSTransport.connect(to: server.url)
            let store = JetStreamStore(transport.connection)
            let pi = try await bus(transport, signer: key)
            let unsigned = try await bus(transport, signer: nil)
            let other = try await bus(transport, signer: .generate())
            try await pi.emit(NodeJoined(capabilities: ["tools": 1]))
            try await pi.emit(ToolStarted(tool: "whisper"))
            try await unsigned.emit(NodeLeft(reason: "forged before"))
            let monitor = try await MeshMonitor.start(store: store, verification: SignatureVerification(trust))
            #expect(monitor.state.node("pi")?.status == .online && monitor.rejected == 1)
            let updates = monitor.updates()
            try await unsigned.emit(NodeLeft(reason: "forged"))
            try await other.emit(ToolCrashed(tool: "whisper", error: "forged", restartCount: 0))
            try await unsigned.emit(NodeJoined(capabilities: ["forged": true]))
            try await pi.emit(ToolStopped(tool: "whisper", reason: "nap"))
            var iterator = updates.makeAsyncIterator()
            let update = try await iterator.next()
            #expect(update?.cause?.event.type == .toolStopped)
            try await eventually("the forged events to be counted") { monitor.rejected == 4 }
            let node = try #require(monitor.state.node("pi"))
            #expect(node.status == .online && node.capabilities == ["tools": 1])
            #expect(node.tool("whisper")?.state == .stopped && node.tool("whisper")?.lastError == nil)
            // Without a list it believes all of them.
            let naive = try await MeshMonitor.start(store: store)
            #expect(naive.rejected == 0 && naive.state.node("pi")?.capabilities == ["forged": true])
            await transport.close()
        }
    }
}
