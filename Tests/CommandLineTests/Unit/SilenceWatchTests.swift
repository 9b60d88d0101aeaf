import Foundation
import LocalNATSServer
import MeshEvents
import NATSClient
import Synchronization
import TestSupport
import Testing

@testable import mesh_events

@Suite struct SilenceWatchTests {
    @Test(arguments: NATSServers.all)
    func aServerThatIsStoppedIsSilentAndOneThatIsIdleIsNot(_ binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let connection = try await NATSConnection.connect(configuration(server), logger: quiet)
            let told = Mutex<[Timestamp?]>([])
            let watch = SilenceWatch(connection: connection, interval: .milliseconds(200), patience: .seconds(2))
            let watching = Task { await watch.run { since in told.withLock { $0.append(since) } } }
            // Asked and answered again and again.
            let begun = connection.receivedBytes
            try await eventually("answers while it is idle") { connection.receivedBytes >= begun + 5 * 6 }
            #expect(told.withLock { $0.isEmpty })
            server.suspend()
            let stopped = Timestamp.now
            try await eventually("the silence to be told") { told.withLock { $0.count == 1 } }
            let since = try #require(told.withLock { $0.first } ?? nil)
            #expect(since <= stopped.adding(.seconds(1)))
            server.resume()
            try await eventually("its end to be told") { told.withLock { $0.count == 2 } }
            #expect(told.withLock { $0.last } == .some(nil))
            watching.cancel()
            await watching.value
            await connection.close()
        }
    }
}
