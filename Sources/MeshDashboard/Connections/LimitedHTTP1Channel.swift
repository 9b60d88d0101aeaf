import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1

/// Hummingbird's HTTP/1 connections with limits on their number, times and sizes, and with a strict check of requests.
struct LimitedHTTP1Channel: ServerChildChannel {
    private let base: HTTP1Channel
    private let connections: ConnectionTable
    private let times: ConnectionTimer.Limits
    /// What TLS is spoken with; `nil` for HTTP without it.
    private let certificate: ServerCertificate?

    /// The longest head of a request, in bytes.
    private static let maximumHead = 16_384

    init(
        responder: @escaping HTTPChannelHandler.Responder,
        connections: ConnectionTable,
        times: ConnectionTimer.Limits,
        certificate: ServerCertificate?
    ) {
        base = HTTP1Channel(
            responder: responder,
            configuration: HTTP1Channel.Configuration(
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: Self.maximumHead,
                    maxHeaderListSize: Self.maximumHead,
                    maxHeaderFieldCount: 100
                )
            )
        )
        self.connections = connections
        self.times = times
        self.certificate = certificate
    }

    /// Only registers the connection. Hummingbird's own value would crash the process when it is dropped unused, as
    /// happens for a connection that arrives while the server ends; so ``handle(value:logger:)`` makes it.
    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Arrival> {
        channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(ArrivalHandler(connections))
            // Nothing is read until the handlers are installed.
            try channel.syncOptions?.setOption(.autoRead, value: false)
            return Arrival(channel: channel)
        }
    }

    func handle(value: Arrival, logger: Logger) async {
        let channel = value.channel
        do {
            let connection = try await channel.eventLoop.flatSubmit { install(on: channel, logger) }.get()
            await base.handle(value: connection, logger: logger)
        } catch {
            channel.close(promise: nil)
        }
    }

    private func install(on channel: any Channel, _ logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        channel.eventLoop.makeCompletedFuture {
            if let certificate { try channel.pipeline.syncOperations.addHandler(SecureBeginning(certificate)) }
        }.flatMap {
            base.setup(channel: channel, logger: logger)
        }.flatMapThrowing { value in
            let pipeline = channel.pipeline.syncOperations
            // Directly after the decoder: later handlers no longer see a head's version and its first Host.
            let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            let check = RequestCheck()
            try pipeline.addHandler(check, position: .after(decoder))
            let timer = ConnectionTimer(limits: times, connections: connections)
            try pipeline.addHandler(timer, position: .after(check))
            try pipeline.addHandler(RequestQueue(), position: .after(timer))
            // A channel that is closed already reports that itself.
            try? channel.syncOptions?.setOption(.autoRead, value: true)
            return value
        }
    }
}

/// A connection that has been accepted.
struct Arrival: ServerChildChannelValue {
    let channel: any Channel
}

/// Adds a connection to the table as soon as its address is known.
private final class ArrivalHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny

    private let connections: ConnectionTable

    init(_ connections: ConnectionTable) { self.connections = connections }

    func channelActive(context: ChannelHandlerContext) {
        connections.opened(context.channel)
        context.fireChannelActive()
    }
}

/// Refuses ambiguous requests (RFC 9112, sections 3.2 and 6.3): this server must understand a message in the same way
/// as a proxy in front of it.
private final class RequestCheck: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart

    private var isRefused = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // What follows a refused head is not read as a request.
        if isRefused { return }
        if case .head(let head) = unwrapInboundIn(data), !Self.isClear(head) {
            isRefused = true
            // The server answers a parser's error with 400, and closes the connection.
            return context.fireErrorCaught(HTTPParserError.strictModeAssertion)
        }
        context.fireChannelRead(data)
    }

    /// Whether a head has only one meaning: one host, one target, one length.
    static func isClear(_ head: HTTPRequestHead) -> Bool {
        let isOld = head.version != .http1_1
        let hosts = head.headers["host"]
        guard hosts.count == 1 || hosts.isEmpty && isOld, isTarget(head, of: hosts.first ?? "") else { return false }
        let encodings = head.headers["transfer-encoding"]
        let lengths = head.headers["content-length"]
        if !encodings.isEmpty {
            return !isOld && lengths.isEmpty && encodings.count == 1 && encodings[0].lowercased() == "chunked"
        }
        guard let length = lengths.first else { return true }
        return lengths.count == 1 && !length.isEmpty && length.utf8.count < 19
            && length.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    /// Whether the target is a path, `*` for OPTIONS, or a URL of the host in the `Host` header.
    private static func isTarget(_ head: HTTPRequestHead, of host: String) -> Bool {
        if head.uri.hasPrefix("/") { return true }
        if head.uri == "*" { return head.method == .OPTIONS }
        for scheme in ["http://", "https://"] where head.uri.lowercased().hasPrefix(scheme) {
            let authority = head.uri.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
            return !authority.isEmpty && authority.lowercased() == host.lowercased()
        }
        return false
    }
}
