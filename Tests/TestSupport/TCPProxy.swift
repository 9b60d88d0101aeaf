import NIOCore
import NIOPosix
import Synchronization

/// A proxy before a server, that treats connections badly: it slows them down, and cuts them off in the middle.
public final class TCPProxy: Sendable {
    /// How connections are treated.
    public struct Conduct: Sendable {
        /// How long what is read waits before it goes on.
        public var delay: Duration = .zero
        /// How long it is on its way from there, as on a long line: what comes behind it is not held up.
        public var latency: Duration = .zero
        /// How many bytes a second pass in each direction; `nil` for no limit.
        public var bytesPerSecond: Int?
        /// The same from the client to the server alone.
        public var bytesPerSecondUp: Int?
        /// The same from the server to the client alone.
        public var bytesPerSecondDown: Int?
        /// A connection is reset when so many bytes have passed in one direction, wherever in a message that is; drawn
        /// anew for each connection. `nil` for never.
        public var cutAfter: ClosedRange<Int>?
        /// Whether new connections are reset at once.
        public var refuses = false

        /// Lets everything pass.
        public init() {}
    }

    private struct State {
        var conduct = Conduct()
        var pairs: [ObjectIdentifier: ProxyPair] = [:]
        var connections = 0
        var cuts = 0
        var up = Passage()
        var down = Passage()
    }

    /// What has passed in one direction.
    public struct Passage: Sendable {
        /// How many bytes.
        public var bytes = 0
        /// When the last of them did.
        public var last = ContinuousClock.now
    }

    /// What a slow link holds in each direction.
    private static let heldBytes = 16 << 10

    private let target: Int
    private let pieces: Int?
    private let state = Mutex(State())
    private let listener = Mutex<(any Channel)?>(nil)

    private init(target: Int, pieces: Int?) {
        self.target = target
        self.pieces = pieces
    }

    private var allocator: any RecvByteBufferAllocator {
        pieces.map { FixedSizeRecvByteBufferAllocator(capacity: $0) } ?? AdaptiveRecvByteBufferAllocator()
    }

    /// Starts a proxy on a free port of loopback, before a port of loopback.
    ///
    /// - Parameter pieces: how many bytes are passed on at once; a link that is to be slow does that in small ones, and
    ///   holds little. `nil`: as they come.
    public static func start(before port: Int, pieces: Int? = nil) async throws -> TCPProxy {
        let proxy = TCPProxy(target: port, pieces: pieces)
        var bootstrap = ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        if pieces != nil {
            // Its connections have that of the listener.
            bootstrap = bootstrap.serverChannelOption(.socketOption(.so_rcvbuf), value: TCPProxy.heldBytes)
        }
        let channel =
            try await bootstrap
            .childChannelOption(.autoRead, value: false)
            // One piece at a time: the pause before each depends on its size, and must not let a later one overtake.
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.recvAllocator, value: proxy.allocator)
            .childChannelInitializer { proxy.join($0) }
            .bind(host: "127.0.0.1", port: 0).get()
        proxy.listener.withLock { $0 = channel }
        return proxy
    }

    /// Where clients connect.
    public var url: String { "nats://127.0.0.1:\(port)" }
    /// Its port.
    public var port: Int { listener.withLock { $0?.localAddress?.port } ?? 0 }
    /// How many connections it has taken so far.
    public var connections: Int { state.withLock { $0.connections } }
    /// What has passed from clients to the server.
    public var up: Passage { state.withLock { $0.up } }
    /// What has passed from the server to clients.
    public var down: Passage { state.withLock { $0.down } }
    /// How many it has cut.
    public var cuts: Int { state.withLock { $0.cuts } }

    /// Treats connections otherwise from now on; `cutAfter` counts for new ones.
    public func treat(_ change: @Sendable (inout Conduct) -> Void) { state.withLock { change(&$0.conduct) } }

    /// Resets every connection; whatever is under way is lost.
    public func cut() {
        for pair in state.withLock({ Array($0.pairs.values) }) { pair.cut() }
    }

    /// Stops listening and resets every connection.
    public func stop() async {
        let channel = listener.withLock { $0 }
        try? await channel?.close()
        cut()
    }

    private func join(_ inbound: any Channel) -> EventLoopFuture<Void> {
        if state.withLock({ $0.conduct.refuses }) { return inbound.eventLoop.makeFailedFuture(ChannelError.eof) }
        var bootstrap = ClientBootstrap(group: inbound.eventLoop)
        if pieces != nil { bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: Self.heldBytes) }
        return
            bootstrap
            .channelOption(.autoRead, value: false)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(.recvAllocator, value: allocator)
            .connect(host: "127.0.0.1", port: target)
            .flatMapThrowing { [self] outbound in
                let conduct = state.withLock { state in
                    state.connections += 1
                    return state.conduct
                }
                let limit = conduct.cutAfter?.randomElement()
                let pair = ProxyPair(inbound, outbound, cutAfter: limit) { [weak self] in self?.forget($0) }
                state.withLock { $0.pairs[ObjectIdentifier(pair)] = pair }
                let up: ProxyHandler.Pause = { [weak self] in self?.pause($0, isUp: true) ?? (.zero, .zero) }
                let down: ProxyHandler.Pause = { [weak self] in self?.pause($0, isUp: false) ?? (.zero, .zero) }
                try inbound.pipeline.syncOperations.addHandler(ProxyHandler(pair, to: outbound, up))
                try outbound.pipeline.syncOperations.addHandler(ProxyHandler(pair, to: inbound, down))
            }
    }

    private func forget(_ pair: ProxyPair) {
        state.withLock { state in
            guard state.pairs.removeValue(forKey: ObjectIdentifier(pair)) != nil else { return }
            if pair.wasCut { state.cuts += 1 }
        }
    }

    private func pause(_ bytes: Int, isUp: Bool) -> (held: TimeAmount, latency: TimeAmount) {
        let conduct = state.withLock { state in
            if isUp { state.up.bytes += bytes } else { state.down.bytes += bytes }
            if isUp { state.up.last = .now } else { state.down.last = .now }
            return state.conduct
        }
        let rate = (isUp ? conduct.bytesPerSecondUp : conduct.bytesPerSecondDown) ?? conduct.bytesPerSecond
        let transfer = rate.map { Int64(bytes) * 1_000_000_000 / Int64($0) } ?? 0
        return (TimeAmount(conduct.delay) + .nanoseconds(transfer), TimeAmount(conduct.latency))
    }
}

/// The two halves of a connection through the proxy; both are on one event loop.
private final class ProxyPair: Sendable {
    private let inbound: any Channel
    private let outbound: any Channel
    private let onEnd: @Sendable (ProxyPair) -> Void
    private let state: Mutex<(left: [ObjectIdentifier: Int], wasCut: Bool)>

    init(
        _ inbound: any Channel,
        _ outbound: any Channel,
        cutAfter limit: Int?,
        onEnd: @escaping @Sendable (ProxyPair) -> Void
    ) {
        self.inbound = inbound
        self.outbound = outbound
        self.onEnd = onEnd
        let left = limit.map { [ObjectIdentifier(inbound): $0, ObjectIdentifier(outbound): $0] } ?? [:]
        state = Mutex((left, false))
    }

    var wasCut: Bool { state.withLock { $0.wasCut } }

    /// How many of so many bytes may still go to a channel.
    func take(_ count: Int, to channel: any Channel) -> Int {
        state.withLock { state in
            guard let left = state.left[ObjectIdentifier(channel)] else { return count }
            let taken = min(left, count)
            state.left[ObjectIdentifier(channel)] = left - taken
            return taken
        }
    }

    func cut() {
        state.withLock { $0.wasCut = true }
        for channel in [inbound, outbound] {
            // A reset, not an end: what the peer has not read yet is gone.
            if let socket = channel as? any SocketOptionProvider {
                _ = socket.setSoLinger(linger(l_onoff: 1, l_linger: 0))
            }
            channel.close(promise: nil)
        }
    }

    func end() {
        inbound.close(promise: nil)
        outbound.close(promise: nil)
        onEnd(self)
    }
}

/// Passes on what one half reads to the other; reads again when that has been written.
private final class ProxyHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    /// How long so many bytes hold up what comes behind them, and how long they are on their way then.
    typealias Pause = @Sendable (Int) -> (held: TimeAmount, latency: TimeAmount)

    private let pair: ProxyPair
    private let peer: any Channel
    private let pause: Pause
    /// When the link is free again: what a timer is late by does not make it slower.
    private var free = NIODeadline.now()

    init(_ pair: ProxyPair, to peer: any Channel, _ pause: @escaping Pause) {
        self.pair = pair
        self.peer = peer
        self.pause = pause
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { context.read() }
    }

    func channelActive(context: ChannelHandlerContext) { context.read() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        let (pair, peer, channel) = (pair, peer, context.channel)
        let count = buffer.readableBytes
        let part = buffer.readSlice(length: pair.take(count, to: peer)) ?? buffer
        let isWhole = part.readableBytes == count
        let pass: @Sendable () -> Void = {
            peer.writeAndFlush(part).whenComplete { _ in
                if isWhole { channel.read() } else { pair.cut() }
            }
        }
        let (pause, latency) = pause(count)
        let now = NIODeadline.now()
        // A link that was idle for longer than a timer is late begins anew.
        free = (free + .milliseconds(20) < now ? now : free) + pause
        if latency > .zero, isWhole {
            context.eventLoop.scheduleTask(deadline: free + latency) { peer.writeAndFlush(part, promise: nil) }
            context.eventLoop.scheduleTask(deadline: free) { channel.read() }
            return
        }
        if pause > .zero { context.eventLoop.scheduleTask(deadline: free, pass) } else { pass() }
    }

    func channelInactive(context: ChannelHandlerContext) { pair.end() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
