import NIOCore
import NIOSSL
import NIOTLS

/// Passes the events of one channel to the connection's loop.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let loop: ConnectionLoop
    private let attempt: Int
    private var error: (any Error)?

    init(loop: ConnectionLoop, attempt: Int) {
        self.loop = loop
        self.attempt = attempt
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        loop.received(unwrapInboundIn(data), attempt: attempt)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        loop.finishBatch()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted = event as? TLSUserEvent, loop.machine.attempt == attempt {
            loop.perform(loop.machine.tlsEstablished())
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A peer that closes without TLS's `close_notify` has still just closed.
        if case .uncleanShutdown? = error as? NIOSSLError {} else { self.error = self.error ?? error }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        loop.channelClosed(attempt: attempt, error: error)
    }
}
