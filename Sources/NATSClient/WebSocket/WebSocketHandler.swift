import NIOCore
import NIOWebSocket

/// Turns the frames of a WebSocket into the plain stream of bytes that NATS is, and back. Where a frame ends means
/// nothing.
final class WebSocketHandler: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = WebSocketFrame

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .binary, .text, .continuation: context.fireChannelRead(wrapInboundOut(frame.unmaskedData))
        case .ping: answer(.pong, frame.unmaskedData, context)
        case .connectionClose:
            answer(.connectionClose, frame.unmaskedData, context)
            context.close(promise: nil)
        default: break
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        context.write(frame(.binary, unwrapOutboundIn(data)), promise: promise)
    }

    private func answer(_ opcode: WebSocketOpcode, _ data: ByteBuffer, _ context: ChannelHandlerContext) {
        context.writeAndFlush(frame(opcode, data), promise: nil)
    }

    /// A client masks what it sends.
    private func frame(_ opcode: WebSocketOpcode, _ data: ByteBuffer) -> NIOAny {
        wrapOutboundOut(WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data))
    }
}
