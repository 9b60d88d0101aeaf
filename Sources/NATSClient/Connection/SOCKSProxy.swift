import Foundation
import NIOCore
import NIOSOCKS

extension NATSConnection {
    /// A SOCKS5 proxy (RFC 1928) that connections to servers go through: `socks5://host[:port]`.
    ///
    /// The proxy finds the servers' addresses. One that wants a login is not supported.
    public struct SOCKSProxy: Sendable, Hashable, CustomStringConvertible {
        /// The default port.
        public static let defaultPort = 1080

        /// The proxy's name or address, without brackets.
        public var host: String
        /// The proxy's port.
        public var port: Int

        /// Creates the proxy's address from its parts.
        public init(host: String, port: Int = SOCKSProxy.defaultPort) {
            self.host = host
            self.port = port
        }

        /// Reads `socks5://host[:port]`, or the same with `socks5h`.
        ///
        /// - Throws: `invalidAddress`, naming what is wrong; no part of a login is shown.
        public init(_ text: String) throws(NATSError) {
            guard let url = URLComponents(string: text, encodingInvalidCharacters: false), let host = url.host,
                !host.isEmpty
            else {
                throw Self.invalid("it is no URL; write it as socks5://host:1080")
            }
            guard ["socks5", "socks5h"].contains(url.scheme?.lowercased()) else {
                throw Self.invalid("its scheme is unknown; use socks5://")
            }
            guard url.user == nil, url.password == nil else {
                throw Self.invalid("it has a login, which is not supported; use a proxy that wants none")
            }
            guard url.path.isEmpty || url.path == "/", url.query == nil else {
                throw Self.invalid("it has a path, and a proxy has none")
            }
            self.host = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
            port = url.port ?? Self.defaultPort
            guard (1...65_535).contains(port) else {
                throw Self.invalid("its port must be a number from 1 to 65535")
            }
        }

        /// `socks5://host:port`.
        public var description: String { "socks5://\(host.contains(":") ? "[\(host)]" : host):\(port)" }

        private static func invalid(_ why: String) -> NATSError {
            NATSError(.invalidAddress, "the address of the SOCKS proxy cannot be used: \(why)")
        }
    }
}

/// Has a proxy open a tunnel to a server, on a channel to the proxy.
struct SOCKSTunnel {
    let proxy: NATSConnection.SOCKSProxy
    let server: ServerAddress

    /// Prepares a channel that is about to connect; the future is done when the tunnel is open.
    func configure(_ channel: any Channel) throws -> EventLoopFuture<Void> {
        let client = SOCKSClientHandler(targetAddress: try target())
        let opening = SOCKSOpening(client, promise: channel.eventLoop.makePromise()) { reason(of: $0) }
        try channel.pipeline.syncOperations.addHandlers([client, opening], position: .first)
        return opening.future
    }

    private func target() throws -> SOCKSAddress {
        if let address = try? SocketAddress(ipAddress: server.host, port: server.port) { return .address(address) }
        guard server.host.utf8.count <= 255 else {
            throw NATSError(.invalidAddress, "the host of \(server) is too long for a SOCKS proxy")
        }
        return .domain(server.host, port: server.port)
    }

    private func reason(of error: any Error) -> NATSError {
        let why =
            switch error {
            case let failure as SOCKSError.ConnectionFailed: "it cannot reach \(server): \(Self.words(failure.reply))"
            case is SOCKSError.NoValidAuthenticationMethod, is SOCKSError.InvalidAuthenticationSelection:
                "it wants a login, which is not supported; use a proxy that wants none"
            case is ChannelError: "it closed the connection"
            default: "it does not answer as a SOCKS5 proxy does; is this the right port?"
            }
        return NATSError(
            .connectionFailed,
            "no way through the SOCKS proxy \(proxy): \(why)",
            underlying: error,
            isRetriable: true
        )
    }

    private static func words(_ reply: SOCKSServerReply) -> String {
        switch reply {
        case .notAllowed: "its rules forbid it"
        case .networkUnreachable: "the network is unreachable"
        case .hostUnreachable: "the host is unreachable"
        case .refused: "the connection was refused"
        case .ttlExpired: "it took too many hops"
        case .commandUnsupported, .addressUnsupported: "it does not know such addresses"
        default: "it has failed (\(reply.value))"
        }
    }
}

/// Waits until the tunnel is open, then leaves the pipeline with the proxy's handler.
private final class SOCKSOpening: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let client: SOCKSClientHandler
    private let promise: EventLoopPromise<Void>
    private let reason: (any Error) -> NATSError
    private var isOpen = false

    init(_ client: SOCKSClientHandler, promise: EventLoopPromise<Void>, reason: @escaping (any Error) -> NATSError) {
        self.client = client
        self.promise = promise
        self.reason = reason
    }

    var future: EventLoopFuture<Void> { promise.futureResult }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is SOCKSProxyEstablishedEvent else { return context.fireUserInboundEventTriggered(event) }
        isOpen = true
        // TLS, which may begin next, goes to the front of the pipeline.
        context.pipeline.syncOperations.removeHandler(client, promise: nil)
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        promise.succeed()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isOpen else { return context.fireErrorCaught(error) }
        promise.fail(reason(error))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(reason(ChannelError.eof))
        context.fireChannelInactive()
    }

    /// A channel that never connects becomes neither active nor inactive.
    func handlerRemoved(context: ChannelHandlerContext) {
        if !isOpen { promise.fail(ChannelError.eof) }
    }
}
