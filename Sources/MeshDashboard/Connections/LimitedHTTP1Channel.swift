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

    /// The longest head of a request, in bytes.
    private static let maximumHead = 16_384

    init(
        responder: @escaping HTTPChannelHandler.Responder,
        connections: ConnectionTable,
        times: ConnectionTimer.Limits
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
        base.setup(channel: channel, logger: logger).flatMapThrowing { value in
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
