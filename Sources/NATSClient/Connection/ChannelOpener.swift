import Foundation
import NIOCore
import NIOPosix

/// Opens the channel of each attempt to connect: TCP, a proxy's tunnel, TLS and WebSocket.
///
/// It is `@unchecked Sendable` because mutable members are used on the connection's event loop only.
final class ChannelOpener: @unchecked Sendable {
    private let configuration: NATSConnection.Configuration
    /// Made from the files as they were at the present attempt.
    private var tlsContext: TLSContext?
    /// The certificate of a server with which TLS has failed in the present attempt.
    private var peerCertificate: TLSContext.PeerCertificate?
    /// The address of the last attempt's channel, unless its login was accepted.
    private var failedAddress: SocketAddress?
    /// The header fields for a WebSocket that a callback has given for the present attempt.
    private var givenHeaders: [String: String] = [:]
    /// Who the present attempt waits for until its channel is open.
    private var awaited = Awaited.connection
    /// The connected channel of the present attempt, until its tunnel and its WebSocket are open.
    private var unopened: (any Channel)?

    private enum Awaited {
        /// The server, or the proxy before it, is to accept the connection.
        case connection
        /// The proxy is to say its first word.
        case proxy(NATSConnection.SOCKSProxy)
        /// The proxy is to open a tunnel to the server.
        case tunnel(NATSConnection.SOCKSProxy)
        /// The server is to greet, or to open a WebSocket.
        case server
    }

    /// - Parameter tlsContext: the context of the first attempt; `nil` when it needs none.
    init(_ configuration: NATSConnection.Configuration, tlsContext: TLSContext?) {
        self.configuration = configuration
        self.tlsContext = tlsContext
    }

    /// Opens a channel; ends with ``ConnectionLoop/opened(_:to:attempt:)`` or ``ConnectionLoop/fail(_:)``.
    ///
    /// - Parameter headers: the header fields that a callback has given for a WebSocket.
    func open(to server: ServerAddress, attempt: Int, headers: [String: String], for loop: ConnectionLoop) {
        peerCertificate = nil
        givenHeaders = headers
        awaited = .connection
        // The first attempt uses the context that was made before it.
        if attempt == 1, tlsContext != nil { return connect(to: server, attempt: attempt, for: loop) }
        tlsContext = nil
        guard configuration.tls != nil || server.usesTLS else {
            return connect(to: server, attempt: attempt, for: loop)
        }
        let tls = configuration.tls ?? NATSConnection.TLSConfiguration()
        // Not on the event loop: other connections may share it.
        NIOThreadPool.singleton.runIfActive(eventLoop: loop.eventLoop) { try TLSContext(tls) }
            .whenComplete { result in
                guard loop.isOpening(attempt) else { return }
                switch result {
                case .success(let context):
                    self.tlsContext = context
                    self.connect(to: server, attempt: attempt, for: loop)
                case .failure(let error):
                    let known = error as? NATSError
                    loop.fail(known ?? NATSError(.tlsFailed, "TLS cannot be set up", underlying: error))
                }
            }
    }

    private func connect(to server: ServerAddress, attempt: Int, for loop: ConnectionLoop) {
        let openings = ChannelOpenings()
        let proxy = configuration.socksProxy
        bootstrap(loop.eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try self.prepare(channel, for: server, attempt: attempt, loop, openings)
                }
            }
            .connect(host: proxy?.host ?? server.host, port: proxy?.port ?? server.port)
            .flatMap { channel -> EventLoopFuture<any Channel> in
                guard loop.isOpening(attempt) else {
                    channel.close(promise: nil)
                    return channel.eventLoop.makeFailedFuture(ChannelError.eof)
                }
                self.failedAddress = channel.remoteAddress
                self.unopened = channel
                self.awaited = proxy.map(Awaited.proxy) ?? .server
                let opening = openings.byChannel[ObjectIdentifier(channel)]
                return (opening ?? channel.eventLoop.makeSucceededVoidFuture()).map { channel }
            }
            .whenComplete { result in
                if case .success = result, loop.isOpening(attempt) { self.unopened = nil }
                loop.opened(result, to: server, attempt: attempt)
            }
    }

    /// Closes the channel of an attempt that ends before its tunnel and its WebSocket are open. Otherwise a silent peer would
    /// keep it for ever.
    func giveUp() {
        let channel = unopened
        unopened = nil
        channel?.close(promise: nil)
    }

    /// Notes that the server of the last channel has accepted the login.
    func loginAccepted() { failedAddress = nil }

    /// Notes that bytes have come on the channel of the present attempt.
    fileprivate func heard() {
        if case .proxy(let proxy) = awaited { awaited = .tunnel(proxy) }
    }

    private func bootstrap(_ eventLoop: any EventLoop) -> ClientBootstrap {
        let resolver = HostResolver(
            eventLoop: eventLoop,
            shuffles: configuration.randomizesServers,
            last: failedAddress
        )
        return ClientBootstrap(group: eventLoop)
            .resolver(resolver)
            .connectTimeout(TimeAmount(configuration.connectTimeout))
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.maxMessagesPerRead, value: 4)
            .channelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 4096, initial: 65_536, maximum: 262_144)
            )
    }

    /// Adds the handlers that a channel needs. An attempt has several channels when the host has several addresses.
    private func prepare(
        _ channel: any Channel,
        for server: ServerAddress,
        attempt: Int,
        _ loop: ConnectionLoop,
        _ openings: ChannelOpenings
    ) throws {
        var opening: EventLoopFuture<Void>?
        if server.usesWebSocket {
            let headers = configuration.webSocketHeaders.merging(givenHeaders) { $1 }
            let upgrade = WebSocketUpgrade(server: server, headers: headers)
            if server.usesTLS { try startTLS(on: channel, to: server, for: loop) }
            opening = try upgrade.configure(channel) { ConnectionHandler(loop: loop, attempt: attempt) }
        } else {
            try channel.pipeline.syncOperations.addHandler(ConnectionHandler(loop: loop, attempt: attempt))
        }
        if let proxy = configuration.socksProxy {
            // In front of all: what the other handlers write waits for the tunnel.
            let tunnel = try SOCKSTunnel(proxy: proxy, server: server).configure(channel)
            let webSocket = opening
            opening = tunnel.flatMap {
                if loop.isOpening(attempt) { self.awaited = .server }
                return webSocket ?? channel.eventLoop.makeSucceededVoidFuture()
            }
        }
        openings.byChannel[ObjectIdentifier(channel)] = opening
        try channel.pipeline.syncOperations.addHandler(
            SignsOfLife(loop: loop, opener: self, attempt: attempt),
            position: .first
        )
    }

    /// Begins TLS on a channel that is open or about to connect.
    func startTLS(on channel: any Channel, to server: ServerAddress, for loop: ConnectionLoop) throws {
        let context = try tlsContext ?? TLSContext(configuration.tls ?? NATSConnection.TLSConfiguration())
        let attempt = loop.machine.attempt
        let handlers = try context.makeHandlers(for: server) { certificate in
            guard loop.machine.attempt == attempt else { return }
            self.peerCertificate = certificate
        }
        let pipeline = channel.pipeline.syncOperations
        // The bytes of the handshake are signs of life, too. A channel that is still prepared gets that handler last.
        if let first = try? pipeline.handler(type: SignsOfLife.self) {
            try pipeline.addHandlers(handlers, position: .after(first))
        } else {
            try pipeline.addHandlers(handlers, position: .first)
        }
    }

    /// The error to report for an error of TLS; `nil` for any other.
    func tlsFailure(_ error: any Error, with server: ServerAddress?, isRetriable: Bool) -> NATSError? {
        let failure = TLSFailure(server: server, configuration: configuration.tls, certificate: peerCertificate)
        return failure.sentence(for: error).map { sentence in
            NATSError(.tlsFailed, sentence, underlying: error, isRetriable: isRetriable)
        }
    }

    /// Bytes that the system buffers look sent, and nothing can be put before them. So the buffer is limited, where the
    /// system allows it.
    static func limitSystemBuffer(of channel: any Channel) {
        channel.setOption(.tcpOption(.init(rawValue: TCP_NOTSENT_LOWAT)), value: 128 << 10).whenComplete { _ in }
    }

    /// The error of an attempt whose channel could not be opened.
    func failure(to server: ServerAddress, _ error: any Error) -> NATSError {
        unreachable(server, Self.reason(of: error), underlying: error)
    }

    /// The error of an attempt in which nothing came in time. It says who was silent, and what that may mean.
    ///
    /// - Parameter stage: how far the attempt has come.
    func silence(of server: ServerAddress, at stage: ConnectionStateMachine.Stage) -> NATSError {
        let time = "within \(configuration.connectTimeout)"
        let accepted = "accepted the connection, and"
        let who =
            switch awaited {
            case .proxy(let proxy), .tunnel(let proxy): "the SOCKS proxy \(proxy)"
            case .connection, .server: "\(server)"
            }
        let what: String
        switch (stage, awaited) {
        case (.tcp, .connection): return unreachable(server, "no answer \(time)")
        case (.tcp, .proxy): what = "\(accepted) did not answer \(time); is it a SOCKS5 proxy, and does it work?"
        case (.tcp, .tunnel):
            what = "did not reach \(server) \(time); is the server up, and may the proxy go there?"
        case (.tcp, .server): what = "\(accepted) opened no WebSocket \(time); is the path right, and the server up?"
        case (.info, _):
            let isTLSFirst = configuration.tls?.handshakeFirst == true
            what =
                "\(accepted) sent no greeting \(time); is it a NATS server"
                + (isTLSFirst ? "?" : ", and not one that begins with TLS (tls_first of a context, handshakeFirst)?")
        case (.tlsFirst, _), (.tls, _): what = "did not finish the TLS handshake \(time); is the link very slow?"
        case (.login, _): what = "did not answer the login \(time); is the link very slow?"
        }
        return NATSError(.connectionFailed, "\(who) \(what)", isRetriable: true)
    }

    private func unreachable(
        _ server: ServerAddress,
        _ reason: String,
        underlying: (any Error)? = nil
    ) -> NATSError {
        var (place, program) = ("\(server)", "nats-server")
        if case .connection = awaited, let proxy = configuration.socksProxy {
            (place, program) = ("the SOCKS proxy \(proxy)", "it")
        }
        return NATSError(
            .connectionFailed,
            "cannot connect to \(place): \(reason); is \(program) running there?",
            underlying: underlying,
            isRetriable: true
        )
    }

    /// Why no channel came about, in a few words.
    private static func reason(of error: any Error) -> String {
        switch error {
        case let failure as NIOConnectionError:
            if let last = failure.connectionErrors.last { return reason(of: last.error) }
            return "the host \(failure.host) is not known"
        case let failure as IOError: return String(cString: strerror(failure.errnoCode)).lowercased()
        case is ChannelError: return "no answer"
        case is SocketAddressError: return "the host is not known"
        default: return "\(error)"
        }
    }
}

/// The tunnels and WebSockets that one attempt opens, by their channels; touched on the event loop only.
private final class ChannelOpenings: @unchecked Sendable {
    var byChannel: [ObjectIdentifier: EventLoopFuture<Void>] = [:]
}

/// Reports each sign of life while an attempt to connect is under way, then leaves the pipeline. It is the first handler, so
/// that the bytes of a proxy and of TLS count.
private final class SignsOfLife: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let loop: ConnectionLoop
    private let opener: ChannelOpener
    private let attempt: Int

    init(loop: ConnectionLoop, opener: ChannelOpener, attempt: Int) {
        self.loop = loop
        self.opener = opener
        self.attempt = attempt
    }

    func channelActive(context: ChannelHandlerContext) {
        loop.attemptMoved(attempt)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let isUnderWay = loop.attemptMoved(attempt)
        if isUnderWay { opener.heard() }
        context.fireChannelRead(data)
        if !isUnderWay { context.pipeline.syncOperations.removeHandler(context: context, promise: nil) }
    }
}

extension TimeAmount {
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let bounded = max(-9_000_000_000, min(seconds, 9_000_000_000))
        self = .nanoseconds(bounded * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
