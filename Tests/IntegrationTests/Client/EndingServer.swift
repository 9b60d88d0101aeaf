import Foundation
import NATSClient
import NIOCore
import NIOPosix
import TestSupport
import Testing

/// A server that ends every connection in one way, at one point of it; or, without an ending, does all that is asked.
final class EndingServer: Sendable {
    /// Where in a connection's life it ends.
    enum Point: String, CaseIterable, Sendable {
        /// Instead of the greeting.
        case connecting
        /// Instead of the answer to the login.
        case loggingIn
        /// In the middle of the TLS handshake.
        case tls
        /// Instead of the answer to a subscription.
        case ready
        /// Instead of the answer to an unsubscription.
        case draining
    }

    /// What it sends, and what it does then.
    struct Ending: Sendable, CustomTestStringConvertible {
        enum Then: Sendable { case close, reset, stay }
        var name: String
        var bytes: String
        var then: Then
        /// What a client says of it that gets no farther.
        var codes: Set<NATSError.Code>
        var testDescription: String { name }
    }

    private let channel: any Channel
    private let accepted: Counter

    private init(channel: any Channel, accepted: Counter) {
        self.channel = channel
        self.accepted = accepted
    }

    static func start(_ point: Point = .connecting, _ ending: Ending? = nil) async throws -> EndingServer {
        let accepted = Counter()
        let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                let isReset = if case .reset? = ending?.then { true } else { false }
                let socket = isReset ? channel as? any SocketOptionProvider : nil
                return channel.eventLoop.makeCompletedFuture {
                    accepted.add()
                    _ = socket?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
                    try channel.pipeline.syncOperations.addHandler(Handler(point, ending))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return EndingServer(channel: channel, accepted: accepted)
    }

    /// How many connections it has had.
    var connections: Int { accepted.count }

    var address: ServerAddress { ServerAddress(host: "127.0.0.1", port: channel.localAddress?.port ?? 0) }

    func stop() async throws { try await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let point: Point
        private let ending: Ending?

        init(_ point: Point, _ ending: Ending?) {
            self.point = point
            self.ending = ending
        }

        func channelActive(context: ChannelHandlerContext) {
            if point == .connecting, let ending { return end(ending, context) }
            let tls = point == .tls ? #","tls_required":true"# : ""
            send(#"INFO {"server_id":"X","headers":true,"max_payload":1000\#(tls)}"# + "\r\n", context)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let text = String(buffer: unwrapInboundIn(data))
            if let ending, isPoint(text) { return end(ending, context) }
            let pings = text.split(separator: "\r\n").count { $0 == "PING" }
            if pings > 0 { send(String(repeating: "PONG\r\n", count: pings), context) }
        }

        private func isPoint(_ text: String) -> Bool {
            switch point {
            case .connecting: false
            case .tls: true
            case .loggingIn: text.contains("CONNECT ")
            case .ready: text.contains("SUB a ")
            case .draining: text.contains("UNSUB ")
            }
        }

        private func send(_ text: String, _ context: ChannelHandlerContext) {
            context.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
        }

        private func end(_ ending: Ending, _ context: ChannelHandlerContext) {
            if !ending.bytes.isEmpty { send(ending.bytes, context) }
            if case .stay = ending.then { return }
            context.close(promise: nil)
        }
    }
}

extension EndingServer.Ending {
    private static let info = #"INFO {"server_id":"X","max_payload":1000}"# + "\r\n"

    /// Every way a connection ends without a word.
    static let ways: [Self] = [
        .init(name: "closed", bytes: "", then: .close, codes: [.connectionFailed]),
        .init(name: "reset", bytes: "", then: .reset, codes: [.connectionFailed]),
        .init(name: "half a greeting", bytes: "INFO {\"serv", then: .close, codes: [.connectionFailed]),
        .init(
            name: "half a message",
            bytes: "MSG a 1 100\r\nabc",
            then: .close,
            codes: [.connectionFailed]
        ),
        .init(
            name: "a message out of place",
            bytes: "MSG a 1 1\r\nx\r\n",
            then: .close,
            codes: [.protocolViolation]
        ),
        .init(name: "garbage", bytes: "\u{0}\u{1}NONSENSE\r\n", then: .stay, codes: [.protocolViolation]),
        .init(name: "HTTP", bytes: "HTTP/1.1 400 Bad Request\r\n\r\n", then: .close, codes: [.protocolViolation]),
        .init(
            name: "a line without end",
            bytes: String(repeating: "A", count: 1 << 20 | 1),
            then: .stay,
            codes: [.protocolViolation]
        ),
        .init(name: "INFO twice", bytes: info + info, then: .close, codes: [.connectionFailed]),
        .init(name: "INFO that is none", bytes: "INFO {\r\n", then: .stay, codes: [.protocolViolation]),
        .init(
            name: "INFO of numbers",
            bytes: "INFO {\"max_payload\":1e300}\r\n",
            then: .stay,
            codes: [.protocolViolation]
        ),
        .init(
            name: "a message of 10^17 bytes",
            bytes: "MSG a 1 100000000000000000\r\n",
            then: .stay,
            codes: [.protocolViolation]
        ),
        .init(
            name: "many pings and a reset",
            bytes: String(repeating: "PING\r\n", count: 20_000),
            then: .reset,
            codes: [.connectionFailed, .protocolViolation]
        ),
    ]

    /// Every `-ERR` that servers are known to send, and what else could be one.
    static let reports: [Self] = [
        ("Unknown Protocol Operation", .serverError), ("Attempted To Connect To Route Port", .serverError),
        ("Authorization Violation", .authenticationFailed), ("Authorization Timeout", .authenticationFailed),
        ("User Authentication Expired", .authenticationFailed), ("User Authentication Revoked", .authenticationFailed),
        ("Account Authentication Expired", .authenticationFailed),
        ("Failed Account Registration", .authenticationFailed), ("Invalid Client Protocol", .serverError),
        ("Maximum Control Line Exceeded", .serverError), ("Parser Error", .serverError),
        ("Secure Connection - TLS Required", .tlsFailed), ("Stale Connection", .serverError),
        ("Maximum Connections Exceeded", .serverError), ("Slow Consumer", .serverError),
        ("maximum account active connections exceeded", .serverError),
        ("Maximum Payload Violation", .serverError), ("Invalid Subject", .serverError),
        ("Invalid Publish Subject", .serverError), ("Maximum Subscriptions Exceeded", .serverError),
        ("Permissions Violation for Subscription to \"a\"", .permissionDenied),
        ("Permissions Violation for Publish to \"a\"", .permissionDenied),
        ("Permissions Violation for Publish to \"a", .permissionDenied),
        ("No Responders Requires Headers Support", .serverError), ("Server Shutdown", .serverError),
        ("Connection Throttling Is Active. Please Try Again Later.", .serverError), ("Connection Closed", .serverError),
        ("", .serverError), ("'", .serverError), (String(repeating: "x", count: 100_000), .serverError),
    ].map { text, code in
        Self(name: "-ERR \(text.prefix(60))", bytes: "-ERR '\(text)'\r\n", then: .close, codes: [code])
    }
}
