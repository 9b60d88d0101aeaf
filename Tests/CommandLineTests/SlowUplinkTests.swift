import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import Synchronization
import TestSupport
import Testing

/// A node behind a link of 10 KB/s, whose logs are followed.
@Suite(.timeLimit(.minutes(5))) struct SlowUplinkTests {
    /// A hundred times what the link carries.
    private static let manifest = #"""
        node: pi
        health: {interval: 3s}
        tools:
          - name: flood
            version: "1.0.0"
            command:
              - sh
              - -c
              - |
                yes "a line of the flood: words and words, and some more words, so that it is of a usual length" |
                  head -n 1000 > block
                while :; do cat block; sleep 0.1; done
            logs: {files: 2, size: 128K}
            stop: {grace: 1s}

        """#

    /// When messages came.
    private final class Arrivals: Sendable {
        private let times = Mutex<[ContinuousClock.Instant]>([])

        var count: Int { times.withLock { $0.count } }

        func note() { times.withLock { $0.append(.now) } }

        /// The longest time without one, from the first one to now.
        var longestGap: Duration {
            let times = times.withLock { $0 } + [.now]
            return zip(times.dropFirst(), times).map { $0 - $1 }.max() ?? .zero
        }
    }

    @Test func followersOfAFloodLeaveRoomForHealthAndControl() async throws {
        try await withServer { server in
            let proxy = try await TCPProxy.start(before: server.port, pieces: 200)
            let directory = try TemporaryDirectory()
            let manifest = try directory.file("mesh.yaml", Self.manifest)
            let logs = directory.path + "/logs"
            let serve = try Command(
                ["serve", "--no-keep", "--config", manifest, "--log-directory", logs, "--nats", proxy.url]
            )
            try await serve.waitForError("is in the mesh")
            let connection = try await connect(server)
            let health = try await connection.subscribe(to: "events.node.health")
            let arrivals = Arrivals()
            let watching = Task { for try await _ in health { arrivals.note() } }
            try await eventually("the node's health") { arrivals.count > 0 }

            proxy.treat { $0.bytesPerSecondUp = 10_000 }
            let followers = try (0..<3).map { _ in
                try Command(["tool", "logs", "flood", "-f", "--node", "pi", "--nats", server.url])
            }
            for follower in followers {
                try await follower.waitForOutput("a line of the flood")
                try await follower.waitForError("removed from the log")
            }
            let tools = RemoteTools(node: "pi", connection: connection)
            for _ in 0..<2 {
                let before = followers.map(\.output.utf8.count)
                let start = ContinuousClock.now
                try await tools.restart("flood", timeout: .seconds(60))
                let took = ContinuousClock.now - start
                // Two seconds behind logs at most; a busy machine needs some for the rest.
                #expect(took < .seconds(8), "the restart was answered after \(took)")
                let seen = arrivals.count
                try await eventually(within: .seconds(120), "three more events") { arrivals.count >= seen + 3 }
                for (follower, bytes) in zip(followers, before) {
                    #expect(follower.output.utf8.count > bytes, "a follower gets no more lines")
                }
            }
            // The interval is 3 s; after 9 s a node counts as unreachable.
            #expect(arrivals.longestGap < .seconds(8), "\(arrivals.longestGap) without health")

            proxy.treat { $0.bytesPerSecondUp = nil }
            for follower in followers {
                follower.signal(SIGINT)
                _ = try await follower.wait()
            }
            serve.signal(SIGTERM)
            let outcome = try await serve.wait(within: .seconds(60))
            #expect(outcome.code == 0, "\(outcome.error.suffix(500))")
            watching.cancel()
            _ = await watching.result
            await connection.close()
            await proxy.stop()
        }
    }
}
