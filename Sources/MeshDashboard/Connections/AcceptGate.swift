import FileDescriptors
import NIOCore

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Accepts connections one by one, no faster than others are closed for them, and pauses while the system refuses them.
///
/// After such an error (`EMFILE`) NIO accepts again at once as long as a connection waits, and takes a whole processor for it:
/// its `AcceptBackoffHandler` delays reads that are asked for, and this one needs not be asked for again. So this handler has
/// to be the first of a server's channel, and turns reading off.
final class AcceptGate: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = Never
    typealias OutboundOut = Never

    /// How many connections may be accepted that are not in the table yet, or not closed though they are not in it any more.
    private static let inTransit = 4
    /// The time until it looks again whether one of them is.
    private static let moment: TimeAmount = .milliseconds(5)
    /// The time until it tries again after an error.
    private static let pause: TimeAmount = .milliseconds(250)
    /// The shortest time between two sentences.
    private static let silence: TimeAmount = .seconds(60)

    /// What listens: `the dashboard`.
    private let what: String
    private let connections: ConnectionTable
    private let say: @Sendable (String) -> Void
    /// How many accepted connections are open.
    private var open = 0
    /// The end of the pause; `nil` when there is none.
    private var resumption: Scheduled<Void>?
    /// Whether reading is turned off for the pause.
    private var isOff = false
    private var lastSaid: NIODeadline?

    init(_ what: String, _ connections: ConnectionTable, say: @escaping @Sendable (String) -> Void) {
        self.what = what
        self.connections = connections
        self.say = say
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        open += 1
        let loopBound = NIOLoopBound(self, eventLoop: context.eventLoop)
        unwrapInboundIn(data).closeFuture.hop(to: context.eventLoop).whenComplete { _ in loopBound.value.open -= 1 }
        context.fireChannelRead(data)
    }

    func read(context: ChannelHandlerContext) {
        // The end of a pause reads.
        guard resumption == nil else { return }
        guard open - connections.count < Self.inTransit else { return wait(Self.moment, context) }
        context.read()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError, Self.isPassing(error.errnoCode) else {
            return context.fireErrorCaught(error)
        }
        tell(error.errnoCode, at: context.eventLoop.now)
        // What waits gets the place of a connection without access.
        connections.makeRoom()
        isOff = true
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        wait(Self.pause, context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    private func wait(_ time: TimeAmount, _ context: ChannelHandlerContext) {
        resumption?.cancel()
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        resumption = context.eventLoop.scheduleTask(in: time) {
            let (gate, context) = loopBound.value
            gate.resume(context)
        }
    }

    private func resume(_ context: ChannelHandlerContext) {
        resumption = nil
        guard isOff else { return read(context: context) }
        isOff = false
        // That reads at once.
        try? context.channel.syncOptions?.setOption(.autoRead, value: true)
    }

    private func end() {
        resumption?.cancel()
        resumption = nil
    }

    /// Whether accepting may work again later: as of a shortage.
    private static func isPassing(_ errorNumber: Int32) -> Bool {
        FileDescriptors.isShortage(errorNumber) || errorNumber == ENOBUFS || errorNumber == ENOMEM
    }

    private func tell(_ errorNumber: Int32, at now: NIODeadline) {
        if let lastSaid, now - lastSaid < Self.silence { return }
        lastSaid = now
        let reason =
            switch errorNumber {
            case EMFILE:
                "this process has all \(FileDescriptors.limit.map { "\($0) " } ?? "")file descriptors open that it may have; "
                    + "raise its limit (LimitNOFILE= of a systemd unit, ulimit -n)"
            case ENFILE: "the system has no file descriptors left; raise fs.file-max, or close programs"
            default: String(cString: strerror(errorNumber))
            }
        say("\(what) accepts no connections for now, with \(connections.count) open: \(reason)")
    }
}
