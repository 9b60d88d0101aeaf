import NIOCore
import NIOWebSocket

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
