import NATSClient
import NIOCore
import TestSupport
import Testing

/// What a server can make a client keep is bounded: it may announce, report, ping and send as much as it likes.
@Suite("NATS client: a server that floods", .timeLimit(.minutes(5)))
struct ServerFloodTests {
    private func connect(_ server: FloodingServer) async throws -> NATSConnection {
        try await NATSConnection.connect(try configuration(at: server.url), logger: quiet)
    }

    @Test("a reader that does not read keeps no more of tiny messages, or of long headers, than its limit in memory")
    func tinyMessages() async throws {
        let header = "NATS/1.0\r\n" + String(repeating: "a:\r\n", count: 10_000) + "\r\n"
        let pieces = ["MSG a 1 0\r\n\r\n", "HMSG a 1 \(header.utf8.count) \(header.utf8.count)\r\n\(header)\r\n"]
        for piece in pieces {
            let server = try await FloodingServer.start(sending: piece, bytes: 4 << 20, afterPings: 2, reads: true)
            let connection = try await connect(server)
            let limit = 1 << 20
            let subscription = try await connection.subscribe(to: "a", maximumMessages: .max, maximumBytes: limit)
            try await eventually(within: .seconds(120), "the flood to end") { server.sentBytes >= 4 << 20 }
            // All of it has been taken in, then.
            try await connection.flush(timeout: .seconds(60))
            #expect(subscription.dropped > 0)
            subscription.cancel()
            let kept = try await take(.max, from: subscription)
            // What a message takes at least, besides its fields.
            #expect(kept.count * 256 <= limit)
            #expect(kept.reduce(0) { $0 + $1.headers.fields.count } * 64 <= limit)
            await connection.close()
            try await server.stop()
        }
    }

    @Test("a million announced addresses: the first ones are kept, and the client goes on")
    func announcements() async throws {
        let many = (0..<70_000).map { "\"h\($0):1\"" }.joined(separator: ",")
        let line = "INFO {\"max_payload\":1000,\"connect_urls\":[\(many)]}\r\n"
        #expect(line.utf8.count < 1 << 20)
        let server = try await FakeServer.start(greeting: line) { text in
            text.contains("PING") ? "PONG\r\n" + line : nil
        }
        let connection = try await NATSConnection.connect(server.settings, logger: quiet)
        for _ in 0..<3 { try await connection.flush(timeout: .seconds(20)) }
        await connection.close()
        try await server.stop()
    }

    @Test("status listeners that do not read keep the newest reports, shortened")
    func reports() async throws {
        let text = String(repeating: "x", count: 100_000)
        let server = try await FakeServer.start { input in
            guard input.contains("PING") else { return nil }
            let report = "-ERR 'Invalid \(text)'\r\n-ERR 'Permissions Violation for Publish to \"\(text)\"'\r\n"
            return "PONG\r\n" + String(repeating: report, count: 20)
        }
        let connection = try await NATSConnection.connect(server.settings, logger: quiet)
        let updates = connection.statusUpdates()
        for _ in 0..<20 { _ = try? await connection.flush() }
        await connection.close()
        var (count, bytes) = (0, 0)
        for await update in updates {
            count += 1
            guard case .serverError(let error) = update else { continue }
            bytes = max(bytes, error.message.utf8.count + (error.subject?.utf8.count ?? 0))
        }
        #expect(count <= 256)
        #expect(bytes > 0 && bytes <= 1_024, "\(bytes)")
        try await server.stop()
    }
}
