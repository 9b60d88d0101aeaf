import NIOCore
import NIOHTTP1
import NIOSSL
import NIOWebSocket

/// Requests a WebSocket from a server, or from the proxy before it.
struct WebSocketUpgrade {
    let server: ServerAddress
    /// Further fields of the request, such as an `Authorization` for the proxy. Never shown in errors or logs.
    let headers: [String: String]

    /// Prepares a channel that is about to connect; the future is done when the WebSocket is open.
    ///
    /// - Parameters:
    ///   - tls: begins TLS first, for `wss://`; `nil` for `ws://`.
    ///   - handler: makes the handler that receives the bytes.
    func configure(
        _ channel: any Channel,
        tls: NIOSSLClientHandler?,
        handler: @escaping @Sendable () -> any ChannelHandler
    ) throws -> EventLoopFuture<Void> {
        let pipeline = channel.pipeline.syncOperations
        if let tls { try pipeline.addHandler(tls) }
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
