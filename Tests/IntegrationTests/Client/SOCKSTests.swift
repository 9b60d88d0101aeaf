import LocalNATSServer
import NATSClient
import NIOCore
import TestSupport
import Testing

@Suite("NATS client: through a SOCKS5 proxy", .timeLimit(.minutes(3)))
struct SOCKSTests {
    private func settings(_ address: String, through port: Int) throws -> NATSConnection.Configuration {
        var settings = try configuration(at: address)
        settings.socksProxy = NATSConnection.SOCKSProxy(host: "127.0.0.1", port: port)
        return settings
    }

    @Test("by name and by address; messages of a megabyte; again after a restart", arguments: NATSServers.all)
    func plain(binary: NATSServers.Binary) async throws {
        let proxy = try await SOCKSServer.start()
        try await withServer(binary) { server in
            try await prove(try settings(server.url, through: proxy.port))
            let connection = try await NATSConnection.connect(
                try settings("nats://localhost:\(server.port)", through: proxy.port),
                logger: quiet
            )
            // The proxy looks the name up.
            #expect(proxy.targets == ["127.0.0.1:\(server.port)", "localhost:\(server.port)"])
            let subscription = try await connection.subscribe(to: "a")
            let large = ByteBuffer(repeating: 7, count: 1 << 20)
            try connection.publish(large, to: "a")
            #expect(try await take(1, from: subscription).map(\.payload) == [large])
            async let returned: Void = status(of: connection, "the return") {
                if case .reconnected = $0 { () } else { nil }
            }
            try await connection.flush()
            try await server.restart()
            try await returned
            try await connection.flush()
            await connection.close()
        }
    }

    @Test("with TLS, which the proxy cannot read; over a WebSocket, also with TLS")
    func secured() async throws {
        let proxy = try await SOCKSServer.start()
        let files = try await Certificates.make()
        let ports = try freePorts(2)
        let tls = "tls { cert_file: \"\(files.server)\", key_file: \"\(files.serverKey)\", timeout: 5 }"
        for (lines, address) in [
            (tls, nil), ("websocket { listen: \"127.0.0.1:\(ports[0])\", no_tls: true }", "ws://localhost:\(ports[0])"),
            ("websocket { listen: \"127.0.0.1:\(ports[1])\", \(tls) }", "wss://localhost:\(ports[1])"),
        ] {
            try await withServer(NATSServers.current, .init(extraConfiguration: lines)) { server in
                var settings = try settings(address ?? "tls://localhost:\(server.port)", through: proxy.port)
                if lines.contains("cert_file") { settings.tls = .init(certificateAuthorityFile: files.ca) }
                try await prove(settings)
            }
        }
        #expect(proxy.targets.count == 3)
    }

    @Test("a proxy that wants a login, one that cannot connect, what is none, and none at all: each is named")
    func failures() async throws {
        let login = try await SOCKSServer.start(wantsLogin: true)
        let proxy = try await SOCKSServer.start()
        let free = try freePorts(2)
        try await withServer { server in
            for (address, port, words) in [
                (server.url, login.port, "wants a login"), ("nats://127.0.0.1:\(free[0])", proxy.port, "refused"),
                (server.url, server.port, "does not answer as a SOCKS5 proxy"),
                (server.url, free[1], "cannot connect to the SOCKS proxy"),
            ] {
                var settings = try settings(address, through: port)
                settings.connectTimeout = .seconds(20)
                let error = await connectFailure(settings)
                #expect(error?.code == .connectionFailed, "\(words): \(String(describing: error))")
                #expect(error?.message.contains(words) == true, "\(words): \(String(describing: error))")
            }
        }
    }
}
