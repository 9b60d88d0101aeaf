import NIOCore
import NIOHTTP1
import NIOWebSocket

/// Requests a WebSocket from a server, or from the proxy before it.
struct WebSocketUpgrade {
    let server: ServerAddress
    /// Further fields of the request, such as an `Authorization` for the proxy. Never shown in errors or logs.
    let headers: [String: String]

    /// Prepares a channel that is about to connect; the future is done when the WebSocket is open.
    ///
    /// - Parameter handler: makes the handler that receives the bytes.
    func configure(
        _ channel: any Channel,
        handler: @escaping @Sendable () -> any ChannelHandler
    ) throws -> EventLoopFuture<Void> {
        let pipeline = channel.pipeline.syncOperations
        let opening = WebSocketOpening(server: server, promise: channel.eventLoop.makePromise())
        let bound = NIOLoopBound(opening, eventLoop: channel.eventLoop)
        let upgrader = NIOTypedWebSocketClientUpgrader<Void>(maxFrameSize: Self.maximumFrame) { channel, _ in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandlers([WebSocketHandler(), handler()])
                bound.value.succeed()
            }
        }
        let upgrade = NIOTypedHTTPClientUpgradeConfiguration<Void>(
            upgradeRequestHead: requestHead,
            upgraders: [upgrader],
            // Any other answer goes on to the handler below.
            notUpgradingCompletionHandler: { $0.eventLoop.makeSucceededVoidFuture() }
        )
        var configuration = NIOUpgradableHTTPClientPipelineConfiguration(upgradeConfiguration: upgrade)
        // The server's INFO may come together with the answer.
        configuration.leftOverBytesStrategy = .forwardBytes
        try pipeline.configureUpgradableHTTPClientPipeline(configuration: configuration).whenFailure { error in
            bound.value.fail(error)
        }
        try pipeline.addHandler(opening)
        return opening.future
    }

    /// The largest frame accepted, in bytes: a frame is kept until all of it has come. A server sends everything that
    /// waits for a client in one frame, 64 MiB at most by default (`max_pending`).
    static let maximumFrame = 65 << 20

    private var requestHead: HTTPRequestHead {
        var fields = HTTPHeaders()
        fields.add(name: "Host", value: server.hostAndPort)
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) { fields.replaceOrAdd(name: name, value: value) }
        return HTTPRequestHead(version: .http1_1, method: .GET, uri: server.path ?? "/", headers: fields)
    }
}

/// Waits for a WebSocket to open. Any other answer ends the wait with an error that describes it.
private final class WebSocketOpening: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let server: ServerAddress
    private let promise: EventLoopPromise<Void>
    private var isOpen = false

    init(server: ServerAddress, promise: EventLoopPromise<Void>) {
        self.server = server
        self.promise = promise
    }

    var future: EventLoopFuture<Void> { promise.futureResult }

    /// The WebSocket is open; from now on this handler only passes on.
    func succeed() {
        isOpen = true
        promise.succeed()
    }

    func fail(_ error: any Error) { promise.fail(error) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOpen else { return context.fireChannelRead(data) }
        // The rest of the answer does not matter.
        guard case .head(let head) = unwrapInboundIn(data) else { return }
        fail(refusal(head.status))
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isOpen else { return context.fireErrorCaught(error) }
        fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(ChannelError.eof)
        context.fireChannelInactive()
    }

    private func refusal(_ status: HTTPResponseStatus) -> NATSError {
        let isForbidden = [.unauthorized, .forbidden, .proxyAuthenticationRequired].contains(status)
        return NATSError(
            isForbidden ? .authenticationFailed : .connectionFailed,
            "\(server) answered \(status.code) \(status.reasonPhrase.prefix(64)) instead of opening a WebSocket; "
                + (isForbidden
                    ? "check the header fields that the proxy wants" : "is the path right, and the server up?"),
            isRetriable: !isForbidden
        )
    }
}

/// Turns the frames of a WebSocket into the plain byte stream of NATS, and back. The ends of frames have no meaning.
final class WebSocketHandler: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = WebSocketFrame

    /// The last ping that came while the answer to an earlier one was being written: only this one is answered then
    /// (RFC 6455, 5.5.3). Otherwise a server that pings and does not read would fill the memory with answers.
    private var owed: ByteBuffer?
    private var isAnswering = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .binary, .text, .continuation: context.fireChannelRead(wrapInboundOut(frame.unmaskedData))
        case .ping:
            owed = frame.unmaskedData
            answerPing(context)
        case .connectionClose:
            context.writeAndFlush(self.frame(.connectionClose, frame.unmaskedData), promise: nil)
            context.close(promise: nil)
        default: break
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        context.write(frame(.binary, unwrapOutboundIn(data)), promise: promise)
    }

    private func answerPing(_ context: ChannelHandlerContext) {
        guard !isAnswering, let data = owed else { return }
        owed = nil
        isAnswering = true
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.writeAndFlush(frame(.pong, data)).whenSuccess {
            let (handler, context) = bound.value
            handler.isAnswering = false
            handler.answerPing(context)
        }
    }

    /// A client must mask its frames.
    private func frame(_ opcode: WebSocketOpcode, _ data: ByteBuffer) -> NIOAny {
        wrapOutboundOut(WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data))
    }
}
