import NIOCore
import NIOPosix
import Synchronization

/// A server that logs clients in, answers their first pings, then reads no more and sends the same again and again.
public final class FloodingServer: Sendable {
    private let channel: any Channel
    private let sent: Counter

    private init(channel: any Channel, sent: Counter) {
        self.channel = channel
        self.sent = sent
    }

    /// Starts one on a free port of loopback.
    ///
    /// - Parameters:
    ///   - piece: what is sent again and again.
    ///   - bytes: how much of it, in all.
    ///   - pings: how many pings are answered before; the login has the first one.
    ///   - reads: whether it goes on reading.
    public static func start(
        sending piece: String,
        bytes: Int,
        afterPings pings: Int = 1,
        reads: Bool = false
    ) async throws -> FloodingServer {
        let sent = Counter()
        let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            // Little room in the system's buffers: what the client answers has to wait in the client.
            .childChannelOption(.socketOption(.so_rcvbuf), value: 4_096)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = Handler(piece, bytes, pings, reads, sent)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return FloodingServer(channel: channel, sent: sent)
    }

    /// Where clients connect.
    public var url: String { "nats://127.0.0.1:\(channel.localAddress?.port ?? 0)" }

    /// How many bytes of the flood the clients' systems have taken.
    public var sentBytes: Int { sent.count }

    /// Stops listening.
    public func stop() async throws { try await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let piece: ByteBuffer
        private let count: Int
        private let pings: Int
        private let reads: Bool
        private let sent: Counter
        private var seen = 0
        private var isFlooding = false

        init(_ text: String, _ bytes: Int, _ pings: Int, _ reads: Bool, _ sent: Counter) {
            let repeats = max(1, 65_536 / text.utf8.count)
            piece = ByteBuffer(string: String(repeating: text, count: repeats))
            count = (bytes + piece.readableBytes - 1) / piece.readableBytes
            self.pings = pings
            self.reads = reads
            self.sent = sent
        }

        func channelActive(context: ChannelHandlerContext) {
            let info = #"INFO {"server_id":"X","version":"2.10.0","headers":true,"max_payload":1048576}"# + "\r\n"
            context.writeAndFlush(NIOAny(ByteBuffer(string: info)), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard !isFlooding || reads else { return }
            let text = String(buffer: unwrapInboundIn(data))
            let asked = text.split(separator: "\r\n").count { $0 == "PING" }
            guard asked > 0 else { return }
            seen += asked
            let answer = ByteBuffer(string: String(repeating: "PONG\r\n", count: asked))
            context.writeAndFlush(NIOAny(answer), promise: nil)
            guard seen >= pings, !isFlooding else { return }
            isFlooding = true
            if !reads { context.channel.setOption(.autoRead, value: false).whenFailure { _ in } }
            flood(context.channel, count)
        }

        /// One piece after the other, as fast as the client reads.
        private func flood(_ channel: any Channel, _ left: Int) {
            guard left > 0 else { return }
            let bound = NIOLoopBound(self, eventLoop: channel.eventLoop)
            channel.writeAndFlush(piece).whenSuccess {
                bound.value.sent.add(bound.value.piece.readableBytes)
                bound.value.flood(channel, left - 1)
            }
        }
    }
}
