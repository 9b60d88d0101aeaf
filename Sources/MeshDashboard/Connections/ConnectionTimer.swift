import NIOCore
import NIOHTTP1

/// Closes a connection without progress: no request, half a request, or a client that does not read.
final class ConnectionTimer: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// How long each phase of a connection may take.
    struct Limits: Sendable {
        /// From its beginning to the end of the first request's head.
        var head = TimeAmount.seconds(10)
        /// From the end of a head to the end of the request.
        var body = TimeAmount.seconds(30)
        /// Between two requests, when none was given access.
        var idle = TimeAmount.seconds(15)
        /// Between two requests, when one was given access.
        var trustedIdle = TimeAmount.seconds(60)
        /// Until the client has taken the data that waits to be sent, about 64 KB.
        var stall = TimeAmount.seconds(30)
    }

    private let limits: Limits
    private let connections: ConnectionTable
    private var request: Scheduled<Void>?
    private var stall: Scheduled<Void>?
    private var isReading = false
    private var answersDue = 0

    init(limits: Limits, connections: ConnectionTable) {
        self.limits = limits
        self.connections = connections
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        cancel()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            answersDue += 1
            isReading = true
            limit(context, limits.body)
        case .body: break
        case .end:
            isReading = false
            if answersDue > 0 { request?.cancel() } else { limitIdle(context) }
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) {
            // Requests that were refused unread are answered too, but not counted in `answersDue`.
            answersDue = max(0, answersDue - 1)
            if answersDue == 0, !isReading { limitIdle(context) }
        }
        context.write(data, promise: promise)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        stall?.cancel()
        stall = context.channel.isWritable ? nil : close(context.channel, in: limits.stall)
        context.fireChannelWritabilityChanged()
    }

    private func begin(_ context: ChannelHandlerContext) {
        limit(context, limits.head)
    }

    private func limitIdle(_ context: ChannelHandlerContext) {
        limit(context, connections.isTrusted(context.channel) ? limits.trustedIdle : limits.idle)
    }

    private func limit(_ context: ChannelHandlerContext, _ time: TimeAmount) {
        request?.cancel()
        request = close(context.channel, in: time)
    }

    private func close(_ channel: any Channel, in time: TimeAmount) -> Scheduled<Void> {
        channel.eventLoop.scheduleTask(in: time) { channel.close(promise: nil) }
    }

    private func cancel() {
        request?.cancel()
        stall?.cancel()
    }
}
