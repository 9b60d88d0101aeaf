import Foundation
import LocalNATSServer
import NATSClient
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@Suite("NATS client: a server that misbehaves", .timeLimit(.minutes(2)))
struct HostileServerTests {
    private static let greeting =
        #"INFO {"server_id":"X","version":"2.10.0","headers":true,"max_payload":1000}"# + "\r\n"

    @Test(
        "lines that are no protocol end the connection with a reason, and it comes back",
        arguments: [
            "NONSENSE\r\n", "MSG a\r\n", "MSG a 1 99999999999999\r\n", "HMSG a 1 9 5\r\nxxxxx\r\n", "\u{0}\u{FFFD}\r\n",
            "INFO not json\r\n", "MSG a 1 1\r\nlonger\r\n", "-ERR\r\n-ERR 'Stale Connection'\r\n",
        ]
    )
    func hostileLine(line: String) async throws {
        let server = try await FakeServer.start { text in
            text.contains("PING") ? "PONG\r\n\(line)" : nil
        }
        let connection = try await NATSConnection.connect(server.settings, logger: quiet)
        let reason = try await status(of: connection, "the loss") {
            if case .disconnected(let reason, _) = $0 { reason } else { nil }
        }
        #expect(reason.isRetriable)
        try await status(of: connection, "the return") { if case .reconnected = $0 { true } else { nil } }
        await connection.close()
        try await server.stop()
    }

    /// The answer to one of the pings fails then, and hands over those that were still to be read.
    @Test("a connection that is reset behind more pings than are read at once is lost, and comes back")
    func resetBehindPings() async throws {
        let pings = String(repeating: "PING\r\n", count: 100_000)
        let logins = Mutex(0)
        let server = try await FakeServer.start(resets: true) { text in
            guard text.contains("CONNECT") else { return text.contains("PING") ? "PONG\r\n" : nil }
            let isLast = logins.withLock { logins in
                logins += 1
                return logins > 20
            }
            return isLast ? "PONG\r\n" : "PONG\r\n" + pings + "RESET\r\n"
        }
        var settings = server.settings
        settings.connectTimeout = .seconds(2)
        let connection = try await NATSConnection.connect(settings, logger: quiet)
        try await eventually("enough connections") { logins.withLock { $0 } > 20 }
        try await connection.flush()
        await connection.close()
        try await server.stop()
    }

    @Test("messages for nobody, unexpected pongs, oks and unknown errors change nothing")
    func strayOperations() async throws {
        let stray =
            "MSG nobody 77 2\r\nhi\r\nPONG\r\nPONG\r\n+OK\r\n-ERR 'Invalid Subject'\r\nMSG _INBOX.x.1 0 0\r\n\r\n"
        let server = try await FakeServer.start { text in
            text.contains("PING") ? String(repeating: "PONG\r\n", count: text.count(of: "PING")) + stray : nil
        }
        let connection = try await NATSConnection.connect(server.settings, logger: quiet)
        for _ in 0..<20 { try await connection.flush() }
        try await server.stop()
        await connection.close()
    }

    @Test("what follows INFO in plain text is not heard when TLS comes next, and no login is sent")
    func injected() async throws {
        let greeting = #"INFO {"tls_required":true,"max_payload":1}"# + "\r\nPONG\r\n-ERR 'x'\r\n"
        let sawLogin = Mutex(false)
        let server = try await FakeServer.start(greeting: greeting) { text in
            if text.contains("CONNECT") { sawLogin.withLock { $0 = true } }
            return nil
        }
        var settings = server.settings
        settings.connectTimeout = .milliseconds(300)
        #expect(await connectFailure(settings)?.code == .connectionFailed)
        #expect(!sawLogin.withLock { $0 })
        try await server.stop()
    }

    @Test("a server that never confirms a subscription: the deadline ends the wait, and a drain's too")
    func neverConfirms() async throws {
        let server = try await FakeServer.start { text in text.contains("CONNECT") ? "PONG\r\n" : nil }
        let connection = try await NATSConnection.connect(server.settings, logger: quiet)
        await #expect(throws: code(.timeout)) { try await connection.subscribe(to: "a", timeout: .milliseconds(100)) }
        await #expect(throws: code(.timeout)) { try await connection.flush(timeout: .milliseconds(100)) }
        await #expect(throws: code(.timeout)) { try await connection.drain(timeout: .milliseconds(100)) }
        try await server.stop()
    }

    @Test("headers outside ASCII, with spaces or without sense reach the subscriber, and the next message too")
    func hostileHeaders() async throws {
        try await withServer { server in
            let subscriber = try await connect(server)
            let subscription = try await subscriber.subscribe(to: "n")
            let raw = try await RawPeer.connect(port: server.port)
            let blocks = [
                "NATS/1.0\r\n\u{e9}\u{65e5}: \u{1F680}\r\n\r\n", "NATS/1.0\r\nwith space: x\r\n\r\n",
                "NATS/1.0\r\n\r\n",
                "NATS/1.0 xyz\r\n:\r\n::\r\n\r\n", "garbage", "NATS/1.0\r\nA:\u{0}\r\n\r\n", "\r\n\r\n",
                "NATS/1.0 503\r\n\r\n",
            ]
            for block in blocks {
                try await raw.send("HPUB n \(block.utf8.count) \(block.utf8.count + 2)\r\n\(block)ok\r\n")
            }
            try await raw.send("PUB n 4\r\nlast\r\n")
            let messages = try await take(blocks.count + 1, from: subscription)
            #expect(messages.map(\.text) == blocks.map { _ in "ok" } + ["last"])
            #expect(messages[0].headers["\u{e9}\u{65e5}"] == "\u{1F680}")
            #expect(messages[1].headers["with space"] == "x")
            try await raw.close()
        }
    }
}

extension String {
    fileprivate func count(of part: String) -> Int { components(separatedBy: part).count - 1 }
}
