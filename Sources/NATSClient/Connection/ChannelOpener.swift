import Foundation
import NIOCore
import NIOPosix

/// Opens the channel of each attempt to connect: TCP, TLS and WebSocket.
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
            .flatMap { channel in
                self.failedAddress = channel.remoteAddress
                let opening = openings.byChannel[ObjectIdentifier(channel)]
                return (opening ?? channel.eventLoop.makeSucceededVoidFuture()).map { channel }
            }
            .whenComplete { loop.opened($0, to: server, attempt: attempt) }
    }

    /// Notes that the server of the last channel has accepted the login.
    func loginAccepted() { failedAddress = nil }

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
            opening = tunnel.flatMap { webSocket ?? channel.eventLoop.makeSucceededVoidFuture() }
        }
        openings.byChannel[ObjectIdentifier(channel)] = opening
    }

    /// Begins TLS on a channel that is open or about to connect.
    func startTLS(on channel: any Channel, to server: ServerAddress, for loop: ConnectionLoop) throws {
        let context = try tlsContext ?? TLSContext(configuration.tls ?? NATSConnection.TLSConfiguration())
        let attempt = loop.machine.attempt
        let handlers = try context.makeHandlers(for: server) { certificate in
            guard loop.machine.attempt == attempt else { return }
            self.peerCertificate = certificate
        }
        try channel.pipeline.syncOperations.addHandlers(handlers, position: .first)
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

    /// Why no TCP connection came about, in a few words.
    static func reason(of error: any Error) -> String {
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

extension TimeAmount {
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let bounded = max(-9_000_000_000, min(seconds, 9_000_000_000))
        self = .nanoseconds(bounded * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
