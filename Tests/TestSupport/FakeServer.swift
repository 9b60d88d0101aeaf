import Foundation
public import NATSClient
import NIOCore
import NIOPosix
import Synchronization

/// A server that greets and then answers what a test tells it to: for what no real server would say.
public final class FakeServer: Sendable {
    private let channel: any Channel
    private let clients: Clients

    /// How many clients are connected.
    private final class Clients: Sendable {
        let count = Atomic(0)
    }

    private init(channel: any Channel, clients: Clients) {
        self.channel = channel
        self.clients = clients
    }

    /// Starts one on a free port of loopback.
    ///
    /// - Parameters:
    ///   - greeting: what is sent first.
    ///   - resets: cut the connection off behind an answer that ends with a line "RESET", without waiting for anybody.
    ///   - answer: called with every read; what it returns is sent back.
    public static func start(
        greeting: String = #"INFO {"server_id":"X","version":"2.10.0","headers":true,"max_payload":1000}"# + "\r\n",
        resets: Bool = false,
        answer: @escaping @Sendable (String) -> String?
    ) async throws -> FakeServer {
        let clients = Clients()
        let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                let socket = resets ? channel as? any SocketOptionProvider : nil
                return channel.eventLoop.makeCompletedFuture {
                    _ = socket?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
                    try channel.pipeline.syncOperations.addHandler(Handler(clients, greeting, resets, answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return FakeServer(channel: channel, clients: clients)
    }

    /// How to connect to it, quick to try again.
    public var settings: NATSConnection.Configuration {
        let address = ServerAddress(host: "127.0.0.1", port: port)
        var settings = NATSConnection.Configuration(servers: [address])
        settings.reconnectDelay = ReconnectDelay(initial: .milliseconds(5), maximum: .milliseconds(50))
        return settings
    }

    /// Its port.
    public var port: Int { channel.localAddress?.port ?? 0 }

    /// How many clients are connected to it.
    public var connections: Int { clients.count.load(ordering: .acquiring) }

    /// Stops listening.
    public func stop() async throws { try await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let clients: Clients
        private let greeting: String
        private let resets: Bool
        private let answer: @Sendable (String) -> String?

        init(
            _ clients: Clients,
            _ greeting: String,
            _ resets: Bool,
            _ answer: @escaping @Sendable (String) -> String?
        ) {
            self.clients = clients
            self.greeting = greeting
            self.resets = resets
            self.answer = answer
        }

        func channelActive(context: ChannelHandlerContext) {
            clients.count.add(1, ordering: .acquiringAndReleasing)
            context.writeAndFlush(NIOAny(ByteBuffer(string: greeting)), promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            clients.count.subtract(1, ordering: .acquiringAndReleasing)
            context.fireChannelInactive()
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard let text = answer(String(buffer: unwrapInboundIn(data))) else { return }
            context.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
            if resets, text.hasSuffix("RESET\r\n") { context.close(promise: nil) }
        }
    }
}
