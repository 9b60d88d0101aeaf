import NIOCore

/// The beginning of a connection where TLS is spoken: the first byte decides. What is TLS goes to a handler for it, which is
/// added then. A client that speaks HTTP without TLS is told so: to have its connection closed would tell it nothing.
///
/// A client that says nothing, or does not end the handshake, has had no request: ``ConnectionTimer`` closes it as others
/// without one, and it counts as a stranger in ``ConnectionTable``.
final class SecureBeginning: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How long a client may take to read the answer. An immediate close could lose it.
    private static let linger = TimeAmount.seconds(2)

    private enum State {
        case unknown, secure, refused
    }

    private let certificate: ServerCertificate
    private var state = State.unknown

    init(_ certificate: ServerCertificate) { self.certificate = certificate }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch state {
        case .secure: context.fireChannelRead(data)
        // What follows is read and dropped, so that the answer is not lost by a reset.
        case .refused: return
        case .unknown:
            let bytes = unwrapInboundIn(data)
            guard let first = bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) else { return }
            if Self.methods.contains(first) { return refuse(context) }
            state = .secure
            do {
                try context.pipeline.syncOperations.addHandler(
                    certificate.context.makeHandler(),
                    position: .after(self)
                )
            } catch {
                return context.close(promise: nil)
            }
            context.fireChannelRead(data)
        }
    }

    private func refuse(_ context: ChannelHandlerContext) {
        state = .refused
        let text = "This port speaks HTTPS alone: ask for https://\n"
        let answer = """
            HTTP/1.1 400 Bad Request\r
            Content-Type: text/plain; charset=utf-8\r
            Content-Length: \(text.utf8.count)\r
            Cache-Control: no-store\r
            Connection: close\r
            \r
            \(text)
            """
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
        context.close(mode: .output, promise: nil)
        let channel = context.channel
        channel.eventLoop.scheduleTask(in: Self.linger) { channel.close(promise: nil) }
    }

    /// What the methods of HTTP begin with. A record of a handshake begins with 0x16 (RFC 8446, section 5.1).
    private static let methods = UInt8(ascii: "A")...UInt8(ascii: "Z")
}
