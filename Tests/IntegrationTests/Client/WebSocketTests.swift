import Foundation
import LocalNATSServer
import NATSClient
import NIOCore
import TestSupport
import Testing

@Suite("NATS client: over WebSocket", .timeLimit(.minutes(3)))
struct WebSocketTests {
    /// A server that also listens for WebSockets, on a port of its own.
    private func withWebSocket(
        _ binary: NATSServers.Binary,
        tls: String = "no_tls: true",
        _ body: (LocalNATSServer, Int) async throws -> Void
    ) async throws {
        let port = try freePorts(1)[0]
        let lines = "websocket { listen: \"127.0.0.1:\(port)\", \(tls) }"
        try await withServer(binary, LocalNATSServer.Configuration(extraConfiguration: lines)) { server in
            try await body(server, port)
        }
    }

    /// Messages of all sizes, over the WebSocket and back over TCP, and the other way.
    private func exchange(_ webSocket: NATSConnection, _ server: LocalNATSServer) async throws {
        let plain = try await connect(server)
        let there = try await plain.subscribe(to: "there")
        let back = try await webSocket.subscribe(to: "back")
        let sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 300_000, 900_000]
        for size in sizes {
            let payload = ByteBuffer(bytes: (0..<size).map { UInt8(truncatingIfNeeded: $0) })
            try webSocket.publish(payload, to: "there")
            try plain.publish(payload, to: "back")
        }
        try await webSocket.flush()
        try await plain.flush()
        for messages in [try await take(sizes.count, from: there), try await take(sizes.count, from: back)] {
            #expect(messages.map(\.payload.readableBytes) == sizes)
            #expect(
                messages.allSatisfy { message in
                    message.payload.readableBytesView.enumerated().allSatisfy { $1 == UInt8(truncatingIfNeeded: $0) }
                }
            )
        }
        await plain.close()
    }

    private static let proxy =
        "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
        + "proxy_set_header Connection upgrade; proxy_read_timeout 60s;"

    @Test("messages of all sizes go both ways; requests and the stream API work", arguments: NATSServers.all)
    func direct(binary: NATSServers.Binary) async throws {
        try await withWebSocket(binary) { server, port in
            let connection = try await NATSConnection.connect(
                try configuration(at: "ws://127.0.0.1:\(port)"),
                logger: quiet
            )
            try await exchange(connection, server)
            #expect(try await JetStream(connection: connection).account().streams == 0)
            await connection.close()
        }
    }

    @Test("wss:// checks the certificate", arguments: NATSServers.all)
    func secured(binary: NATSServers.Binary) async throws {
        let files = try await Certificates.make()
        let tls = "tls { cert_file: \"\(files.server)\", key_file: \"\(files.serverKey)\" }"
        try await withWebSocket(binary, tls: tls) { server, port in
            var settings = try configuration(at: "wss://localhost:\(port)")
            settings.tls = NATSConnection.TLSConfiguration(certificateAuthorityFile: files.ca)
            let connection = try await NATSConnection.connect(settings, logger: quiet)
            try await exchange(connection, server)
            await connection.close()
            settings.tls = NATSConnection.TLSConfiguration(certificateAuthorityFile: files.otherCA)
            #expect(await connectFailure(settings)?.code == .tlsFailed)
        }
    }

    @Test("behind nginx: a path, a bearer token, a reload of the server; a wrong token is refused at once")
    func proxied() async throws {
        try await withWebSocket(NATSServers.current) { server, port in
            let location = """
                location /mesh/ws {
                  if ($http_authorization != "Bearer open-sesame") { return 401; }
                  proxy_pass http://127.0.0.1:\(port)/; \(Self.proxy)
                }
                """
            try await withNginx(location) { proxy in
                var settings = try configuration(at: "ws://127.0.0.1:\(proxy)/mesh/ws?from=test")
                #expect(await connectFailure(settings)?.code == .authenticationFailed)
                settings.webSocketHeaders = ["Authorization": "Bearer wrong-secret"]
                let refused = await connectFailure(settings)
                #expect(refused?.code == .authenticationFailed)
                #expect(refused.map { "\($0)".contains("401") && !"\($0)".contains("wrong-secret") } == true)
                settings.webSocketHeaders = ["Authorization": "Bearer open-sesame"]
                let connection = try await NATSConnection.connect(settings, logger: quiet)
                try await exchange(connection, server)

                let subscription = try await connection.subscribe(to: "again")
                async let returned: Void = status(of: connection, "the return") {
                    if case .reconnected = $0 { () } else { nil }
                }
                try await Task.sleep(for: .milliseconds(100))
                try await server.restart()
                try await returned
                try connection.publish(ByteBuffer(string: "hello"), to: "again")
                #expect(try await take(1, from: subscription).map(\.text) == ["hello"])
                await connection.close()
            }
        }
    }

    @Test("behind nginx with TLS, the token travels encrypted")
    func proxiedSecurely() async throws {
        let files = try await Certificates.make()
        try await withWebSocket(NATSServers.current) { server, port in
            let location = """
                ssl_certificate \(files.server); ssl_certificate_key \(files.serverKey);
                location / { proxy_pass http://127.0.0.1:\(port); \(Self.proxy) }
                """
            try await withNginx(location, listen: "ssl") { proxy in
                var settings = try configuration(at: "wss://127.0.0.1:\(proxy)")
                settings.tls = NATSConnection.TLSConfiguration(certificateAuthorityFile: files.ca)
                let connection = try await NATSConnection.connect(settings, logger: quiet)
                try await exchange(connection, server)
                await connection.close()
            }
        }
    }

    @Test("what answers, but not with a WebSocket, is named with its status; what closes ends the attempt")
    func refused() async throws {
        try await withNginx("location / { return 404; }") { port in
            let error = await connectFailure(try configuration(at: "ws://127.0.0.1:\(port)/nats"))
            #expect(error?.code == .connectionFailed)
            #expect(error?.message.contains("404") == true)
        }
        let plain = try await withServer { server in
            await connectFailure(try configuration(at: "ws://127.0.0.1:\(server.port)"))
        }
        #expect(plain?.code == .connectionFailed)
    }

    @Test("addresses: default ports, paths, what cannot be used")
    func addresses() throws {
        let secure = try ServerAddress("wss://mesh.example/nats?x=1")
        #expect(secure.port == 443 && secure.usesTLS && secure.usesWebSocket && secure.path == "/nats?x=1")
        #expect("\(secure)" == "wss://mesh.example:443/nats?…")
        let plain = try ServerAddress("ws://[::1]/")
        #expect(plain.port == 80 && !plain.usesTLS && plain.path == nil && "\(plain)" == "ws://[::1]:80")
        for text in ["ws://", "ws://host/a b", "nats://host/path", "http://host"] {
            #expect(throws: NATSError.self) { try ServerAddress(text) }
        }
    }
}
