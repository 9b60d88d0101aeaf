import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import TestSupport
import Testing

/// What a user who may create no consumers reads over a long way or a slow line takes about the link's time, and little
/// more than its bytes.
@Suite("Reading without consumers over long and slow links", .timeLimit(.minutes(5)))
struct MessageReadingLinkTests {
    private static let users = """
        no_auth_user: owner
        authorization { users: [
          { user: owner, password: "x" }
          { user: reader, password: "x", permissions: { publish: { deny: ["$JS.API.CONSUMER.CREATE.>"] } } }
        ] }
        """

    /// One way to read all that there is.
    private enum Way: CaseIterable {
        case replay, first, newest

        func read(_ store: JetStreamStore, _ count: Int) async throws -> [UInt64] {
            switch self {
            case .first:
                let limit = 2 * count
                let found = try await store.first(limit, matching: .all, from: .sequence(1), timeout: .seconds(20))
                return found.map(\.sequence)
            case .newest:
                let found = try await store.newest(2 * count, matching: .all, before: nil, timeout: .seconds(20))
                return found.map(\.sequence)
            case .replay:
                let follower = try await store.follow(matching: .all, from: .beginning, timeout: .seconds(20))
                defer { follower.cancel() }
                var sequences: [UInt64] = []
                while let items = try await follower.next(isolation: nil) {
                    for case .message(let message) in items { sequences.append(message.sequence) }
                    if items.contains(.caughtUp) { break }
                }
                return sequences
            }
        }
    }

    /// What one way took.
    private struct Cost {
        let way: Way
        let seconds: Double
        let bytes: Int
        let sequences: [UInt64]
    }

    /// Reads in every way at the same time, over a link each.
    private func costs(
        _ binary: NATSServers.Binary,
        events count: Int,
        of size: Int,
        latency: Duration,
        bytesPerSecond: Int?
    ) async throws -> [Cost] {
        try await withServer(binary, .init(syncsEachWrite: false, extraConfiguration: Self.users)) { server in
            let owner = try await NATSTransport.connect(to: server.url)
            let bus = try await PersistentEventBus.open(transport: owner, node: "n")
            let data: EventData = ["p": .init(String(repeating: "x", count: size))]
            for _ in 0..<count { try await bus.emit(Event("user.a", data: data)) }
            let costs = try await withThrowingTaskGroup(of: Cost.self) { group in
                for way in Way.allCases {
                    group.addTask {
                        let pieces = bytesPerSecond.map { $0 / 100 }
                        let proxy = try await TCPProxy.start(before: server.port, pieces: pieces)
                        proxy.treat { conduct in
                            conduct.latency = latency
                            conduct.bytesPerSecondDown = bytesPerSecond
                        }
                        var login = NATSConnection.Configuration(servers: try ServerAddress.list(proxy.url))
                        login.authentication = .userPassword(user: "reader", password: "x")
                        let reader = try await NATSTransport.connect(login)
                        let (begun, before) = (ContinuousClock.now, proxy.down.bytes)
                        let sequences = try await withDeadline(.seconds(120), "\(way)") {
                            try await way.read(JetStreamStore(reader.connection), count)
                        }
                        let (seconds, attoseconds) = (ContinuousClock.now - begun).components
                        let bytes = proxy.down.bytes - before
                        await reader.close()
                        await proxy.stop()
                        return Cost(
                            way: way,
                            seconds: Double(seconds) + Double(attoseconds) / 1e18,
                            bytes: bytes,
                            sequences: sequences
                        )
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            await owner.close()
            return costs
        }
    }

    @Test("0.2 s there and back: many are asked for at once, each once", arguments: NATSServers.all)
    func longWay(binary: NATSServers.Binary) async throws {
        let costs = try await costs(binary, events: 306, of: 20, latency: .milliseconds(100), bytesPerSecond: nil)
        for cost in costs {
            #expect(cost.sequences == Array(1...306), "\(cost.way)")
            // 64 at a time are five round trips; those before them and between are as many again.
            #expect(cost.seconds < 6, "\(cost.way): \(cost.seconds) s")
            #expect(cost.bytes < 306 * 600, "\(cost.way): \(cost.bytes) bytes")
        }
    }

    @Test("100 KB/s and 0.1 s: the line's rate, and little more than what there is", arguments: NATSServers.all)
    func slowLine(binary: NATSServers.Binary) async throws {
        let (count, size, rate) = (18, 20_000, 100_000)
        let costs = try await costs(binary, events: count, of: size, latency: .milliseconds(50), bytesPerSecond: rate)
        // They come as base64 in JSON.
        let ideal = Double(count * (size + 200)) * 4 / 3
        for cost in costs {
            #expect(cost.sequences == Array(1...UInt64(count)), "\(cost.way)")
            #expect(Double(cost.bytes) < 1.2 * ideal, "\(cost.way): \(cost.bytes) bytes")
            #expect(cost.seconds < ideal / Double(rate) / 0.6 + 1, "\(cost.way): \(cost.seconds) s")
        }
    }
}
