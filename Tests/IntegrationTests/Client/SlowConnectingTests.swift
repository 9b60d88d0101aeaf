import LocalNATSServer
import NATSClient
import NIOCore
import NIOPosix
import TestSupport
import Testing

@Suite("NATS client: how long connecting takes", .timeLimit(.minutes(3)))
struct SlowConnectingTests {
    @Test("on a link with a long delay, all round trips together may take longer than one")
    func delays() async throws {
        let files = try await Certificates.make()
        let rules = "tls { cert_file: \"\(files.server)\", key_file: \"\(files.serverKey)\", timeout: 60 }"
        try await withServer(NATSServers.current, .init(extraConfiguration: rules)) { server in
            let proxy = try await TCPProxy.start(before: server.port)
            // Five times on the way: the greeting, and there and back for TLS and for the login. Two at most are in one step.
            let delay = Duration.seconds(2)
            proxy.treat { $0.latency = delay }
            var settings = try configuration(at: "tls://127.0.0.1:\(proxy.port)")
            settings.tls = .init(certificateAuthorityFile: files.ca)
            settings.connectTimeout = delay * 4
            let start = ContinuousClock.now
            let connection = try await NATSConnection.connect(settings, logger: quiet)
            // Otherwise this test shows nothing.
            #expect(ContinuousClock.now - start > settings.connectTimeout)
            await connection.close()
            await proxy.stop()
        }
    }

    @Test("a server that sends a byte now and then does not keep the client for ever")
    func trickle() async throws {
        let server = try await TricklingServer.start()
        var settings = try configuration(at: "nats://127.0.0.1:\(server.port)")
        settings.connectTimeout = .seconds(1)
        let error = try await withDeadline(.seconds(100), "the end of the attempt") { [settings] in
            await connectFailure(settings)
        }
        #expect(error?.code == .connectionFailed && error?.isRetriable == true)
        try await server.stop()
    }

    @Test(
        "an attempt that ends at its deadline says who was silent, and keeps no connection",
        arguments: [
            ("", "nats", "sent no greeting"), ("INFO {\"max_payload\":1}\r\n", "nats", "did not answer the login"),
            ("INFO {\"max_payload\":1,\"tls_required\":true}\r\n", "nats", "did not finish the TLS handshake"),
            ("", "ws", "opened no WebSocket"),
        ]
    )
    func silent(greeting: String, scheme: String, words: String) async throws {
        let server = try await FakeServer.start(greeting: greeting) { _ in nil }
        var settings = try configuration(at: "\(scheme)://127.0.0.1:\(server.port)")
        settings.connectTimeout = .seconds(3)
        let error = await connectFailure(settings)
        #expect(error?.code == .connectionFailed && error?.isRetriable == true)
        #expect(error?.message.contains(words) == true, "\(String(describing: error))")
        try await eventually("the end of its connection") { server.connections == 0 }
        try await server.stop()
    }

    @Test("a proxy that accepts connections and hangs is named, and keeps none", arguments: [false, true])
    func hangingProxy(answersFirst: Bool) async throws {
        // The second of them takes the client's greeting, and then cannot reach the server.
        let proxy = try await FakeServer.start(greeting: "") { text in
            answersFirst && text == "\u{5}\u{1}\u{0}" ? "\u{5}\u{0}" : nil
        }
        var settings = try configuration(at: "nats://far.example")
        settings.socksProxy = NATSConnection.SOCKSProxy(host: "127.0.0.1", port: proxy.port)
        settings.connectTimeout = .seconds(3)
        let error = await connectFailure(settings)
        let words = answersFirst ? "did not reach nats://far.example:4222 within" : "did not answer within"
        #expect(error?.code == .connectionFailed && error?.isRetriable == true)
        #expect(
            error?.message.contains("SOCKS proxy socks5://127.0.0.1:\(proxy.port)") == true
                && error?.message.contains(words) == true,
            "\(String(describing: error))"
        )
        try await eventually("the end of its connection") { proxy.connections == 0 }
        try await proxy.stop()
    }
}

/// A server whose greeting has no end: it sends a byte every twentieth of a second.
private final class TricklingServer: Sendable {
    private let channel: any Channel

    private init(channel: any Channel) { self.channel = channel }

    static func start() async throws -> TricklingServer {
        let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Handler()) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return TricklingServer(channel: channel)
    }

    var port: Int { channel.localAddress?.port ?? 0 }

    func stop() async throws { try await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private var sending: RepeatedTask?

        func channelActive(context: ChannelHandlerContext) {
            let channel = context.channel
            sending = context.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(50)) { _ in
                channel.writeAndFlush(ByteBuffer(string: "I"), promise: nil)
            }
        }

        func channelInactive(context: ChannelHandlerContext) { sending?.cancel() }
    }
}
