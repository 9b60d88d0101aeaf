import NIOCore
import NIOHTTP1

/// Waits for a WebSocket to open. Any other answer ends the wait with an error that describes it.
final class WebSocketOpening: ChannelInboundHandler {
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
