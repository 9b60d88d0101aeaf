import NIOCore
import NIOPosix
import Synchronization

/// A proxy before a NATS server that leaves out messages on their way to the client: what a reader has to notice.
public final class MessageLossProxy: Sendable {
    /// Whether a message is left out, by its subject and its reply subject; asked for each in its order.
    public typealias Decision = @Sendable (_ subject: String, _ replyTo: String) -> Bool

    private let listener = Mutex<(any Channel)?>(nil)

    private init() {}

    /// Starts a proxy on a free port of loopback, before a port of loopback.
    public static func start(before port: Int, loses: @escaping Decision) async throws -> MessageLossProxy {
        let proxy = MessageLossProxy()
        let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { inbound in
                ClientBootstrap(group: inbound.eventLoop)
                    .channelOption(.autoRead, value: false)
                    .connect(host: "127.0.0.1", port: port)
                    .flatMapThrowing { outbound in
                        try inbound.pipeline.syncOperations.addHandler(LossHandler(to: outbound, loses: nil))
                        try outbound.pipeline.syncOperations.addHandler(LossHandler(to: inbound, loses: loses))
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        proxy.listener.withLock { $0 = channel }
        return proxy
    }

    /// Where clients connect.
    public var url: String { "nats://127.0.0.1:\(listener.withLock { $0?.localAddress?.port } ?? 0)" }

    /// Stops listening.
    public func stop() async { try? await listener.withLock { $0 }?.close() }
}

/// Passes on what it reads, without the messages that are to be lost.
private final class LossHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let peer: any Channel
    private let loses: MessageLossProxy.Decision?
    private var waiting = ByteBuffer()

    init(to peer: any Channel, loses: MessageLossProxy.Decision?) {
        self.peer = peer
        self.loses = loses
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { context.read() }
    }

    func channelActive(context: ChannelHandlerContext) { context.read() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        guard let loses else {
            peer.writeAndFlush(buffer, promise: nil)
            return
        }
        waiting.writeBuffer(&buffer)
        var passed = ByteBuffer()
        while let size = nextSize(), waiting.readableBytes >= size.bytes,
            var part = waiting.readSlice(length: size.bytes)
        {
            if let message = size.message, loses(message.subject, message.replyTo) { continue }
            passed.writeBuffer(&part)
        }
        if passed.readableBytes > 0 { peer.writeAndFlush(passed, promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.read() }

    func channelInactive(context: ChannelHandlerContext) { peer.close(promise: nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// How long the next line is, with the payload of a message.
    private func nextSize() -> (bytes: Int, message: (subject: String, replyTo: String)?)? {
        let view = waiting.readableBytesView
        guard let end = view.firstIndex(of: 0x0A) else { return nil }
        let line = view[view.startIndex...end]
        let words = String(decoding: line, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard let word = words.first, word == "MSG" || word == "HMSG", let size = words.last.flatMap({ Int($0) }) else {
            return (line.count, nil)
        }
        // MSG subject sid [reply] size, HMSG subject sid [reply] headers size.
        let withReply = word == "MSG" ? 5 : 6
        return (line.count + size + 2, (String(words[1]), words.count == withReply ? String(words[3]) : ""))
    }
}
