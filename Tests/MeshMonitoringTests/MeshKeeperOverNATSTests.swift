import LocalNATSServer
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import NATSClient
import TestSupport
import Testing

@testable import MeshMonitoring

/// Keepers on real servers, whose bucket others change.
@Suite(.timeLimit(.minutes(2))) struct MeshKeeperOverNATSTests {
    @Test("A sealed bucket is said to be sealed; deleted, it is made anew.", arguments: NATSServers.all)
    func sealed(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let transport = try await NATSTransport.connect(.init(servers: try ServerAddress.list(server.url)))
            let bus = try await PersistentEventBus.open(transport: transport, node: "pi")
            let store = JetStreamStore(transport.connection)
            let table = JetStreamStateStore(beside: store)
            let statuses = Locked<[MeshKeeper.Status]>([])
            let keeper = MeshKeeper(
                bus: bus,
                store: store,
                table: table,
                configuration: MeshKeeper.Configuration(
                    lease: .seconds(1.5),
                    checkpointInterval: .milliseconds(500)
                ),
                logger: quiet
            ) { status in statuses.withLock { $0.append(status) } }
            let keeping = Task { try await keeper.run() }
            try await bus.emit(ToolStarted(tool: "whisper"))
            try await eventually("the entry") { (try? await table.entry("node.pi")) != nil }

            let name = "KV_\(table.bucketName)"
            var sealed = try await store.jetStream.streamInfo(name).configuration
            sealed.fields["sealed"] = true
            sealed.fields["allow_rollup_hdrs"] = false
            _ = try await store.jetStream.updateStream(sealed)
            try await eventually("the word about the seal") {
                statuses.withLock { $0 }.contains { status in
                    if case .failing(let reason) = status { reason.contains("is sealed") } else { false }
                }
            }
            try await store.jetStream.deleteStream(name)
            try await eventually("the bucket anew") {
                let isKept = (try? await table.entry("node.pi")) != nil
                return isKept && statuses.withLock { $0.last } == .keeping
            }
            keeping.cancel()
            try await keeping.value
            await transport.close()
        }
    }
}
