import LocalNATSServer
import NATSClient
import NIOCore
import NIOPosix
import TestSupport
import Testing

@Suite("NATS client: which server it goes to", .timeLimit(.minutes(2)))
struct WhichServerTests {
    /// A server that accepts every login and announces these ports.
    private func server(announcing ports: [Int] = []) async throws -> FakeServer {
        let urls = ports.map { "\"127.0.0.1:\($0)\"" }.joined(separator: ",")
        let info = #"{"server_id":"X","version":"2.10.0","headers":true,"max_payload":1000,"connect_urls":[\#(urls)]}"#
        return try await FakeServer.start(greeting: "INFO \(info)\r\n") { $0.contains("PING") ? "PONG\r\n" : nil }
    }

    @Test("servers that are announced are tried, unless they are to be ignored", arguments: [false, true])
    func announced(isIgnored: Bool) async throws {
        let second = try await server()
        let first = try await server(announcing: [second.port])
        var settings = first.settings
        settings.ignoresAnnouncedServers = isIgnored
        let connection = try await NATSConnection.connect(settings, logger: quiet)
        // Its status is followed before the first server goes.
        async let failures = status(of: connection, "the outcome") { [port = second.port] status -> Bool? in
            switch status {
            case .reconnected(let address): address.port != port
            case .reconnectFailed(let address, _) where isIgnored: address.port != port
            default: nil
            }
        }
        try await connection.flush()
        try await first.stop()
        connection.reconnect()
        // Ignored: the first one has failed. Otherwise the second one was reached.
        #expect(try await failures == isIgnored)
        await connection.close()
        try await second.stop()
    }

    @Test("an address of a host that accepts connections and says nothing does not hide the others")
    func silentAddress() async throws {
        try await withServer { server in
            let silent: any Channel
            do {
                silent = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                    .bind(host: "::1", port: server.port).get()
            } catch {
                // This machine has no IPv6.
                return
            }
            for randomizes in [false, true] {
                var settings = try configuration(at: "nats://localhost:\(server.port)")
                settings.randomizesServers = randomizes
                settings.retriesInitialConnect = true
                settings.connectTimeout = .seconds(1)
                let connection = try await withDeadline(.seconds(60), "a connection") { [settings] in
                    try await NATSConnection.connect(settings, logger: quiet)
                }
                try await connection.flush()
                await connection.close()
            }
            try await silent.close()
        }
    }
}
