import NIOCore

/// Writes what waits in the outbound buffer to the connection's channel, and pings behind it.
///
/// It is `@unchecked Sendable` because mutable members are used on the connection's event loop only.
final class OutboundWriter: @unchecked Sendable {
    var pings = PendingPings()
    var sent = SentMessages()

    private let outbound: OutboundBuffer
    private var isWriting = false
    /// Whether bytes are being handed to the channel at this moment.
    private var isHandingOver = false
    /// What was taken from `outbound` and has not been handed to the channel yet.
    private var unwritten: OutboundBuffer.Chunk?
    /// How often something was taken from `outbound` on this connection.
    private var chunksTaken = 0
    private var isConfirmScheduled = false

    init(_ outbound: OutboundBuffer) { self.outbound = outbound }

    /// Writes what waits, one write at a time: what gathers meanwhile leaves together. A large amount leaves in pieces,
    /// with subscriptions and pings between them.
    func flush(_ loop: ConnectionLoop) {
        loop.eventLoop.assertInEventLoop()
        guard !isWriting, loop.machine.isConnected, let channel = loop.channel else { return }
        var chunk: OutboundBuffer.Chunk
        if let rest = unwritten {
            chunk = rest
            chunk.subscribes = outbound.takeSubscribes()
        } else {
            chunk = outbound.take()
            chunksTaken += 1
        }
        let piece = chunk.messages.nextPiece()
        let isLast = chunk.messages.readableBytes == 0
        var commands = isLast ? chunk.unsubscribes : ByteBuffer()
        if let piece {
            sent.written(upTo: piece.lastMessage)
            scheduleConfirmation(loop)
        }
        pings.write(behind: isLast ? chunksTaken : chunksTaken - 1, confirming: sent.lastWritten, into: &commands)
        guard piece != nil || chunk.subscribes.readableBytes > 0 || commands.readableBytes > 0 else { return }
        isWriting = true
        unwritten = isLast ? nil : chunk
        if chunk.subscribes.readableBytes > 0 { channel.write(chunk.subscribes, promise: nil) }
        let attempt = loop.machine.attempt
        let taken = chunk
        let size = piece?.bytes.readableBytes ?? 0
        write(piece?.bytes ?? ByteBuffer(), then: commands, to: channel, of: loop).whenComplete { result in
            // After a failed write the channel closes: what waits is left for the next connection.
            guard case .success = result, loop.machine.attempt == attempt, self.isWriting else { return }
            self.isWriting = false
            guard isLast else {
                self.outbound.written(size)
                return loop.eventLoop.execute { self.flush(loop) }
            }
            var next = self.outbound.written(taken)
            if self.pings.hasWaiters { next = .flush }
            switch next {
            case .rest: break
            case .flush: loop.eventLoop.execute { self.flush(loop) }
            case .linger: loop.eventLoop.scheduleTask(in: Self.lingering) { self.flush(loop) }
            }
        }
    }

    /// How many bytes of messages are written at once. What has left is known only in steps of this size.
    private static let slice = 64 << 10

    /// Writes messages and the commands behind them, and notes what leaves. A write that the system takes at once says
    /// nothing about the server. When a write had to wait for room, the server has taken what came before.
    private func write(
        _ messages: ByteBuffer,
        then commands: ByteBuffer,
        to channel: any Channel,
        of loop: ConnectionLoop
    ) -> EventLoopFuture<Void> {
        var messages = messages
        while messages.readableBytes > 2 * Self.slice, let slice = messages.readSlice(length: Self.slice) {
            channel.write(slice).whenSuccess { if !self.isHandingOver { loop.moved(Self.slice) } }
        }
        let size = messages.readableBytes + commands.readableBytes
        if commands.readableBytes > 0 {
            if messages.readableBytes > 0 { channel.write(messages, promise: nil) }
            messages = commands
        }
        isHandingOver = true
        defer { isHandingOver = false }
        return channel.writeAndFlush(messages).map { if !self.isHandingOver { loop.moved(size) } }
    }

    /// How long a few messages wait for more in the middle of a burst.
    private static let lingering = TimeAmount.microseconds(50)

    /// What a ping follows.
    enum PingPlace {
        /// What has been handed to the channel, and the subscriptions that wait.
        case early
        /// Everything published and unsubscribed so far.
        case behindAll
    }

    /// Calls `answer` when the server has answered a ping.
    func ping(_ place: PingPlace, on loop: ConnectionLoop, _ answer: @escaping (Result<Void, NATSError>) -> Void) {
        guard !loop.machine.isClosed else { return answer(.failure(loop.machine.lastError ?? .closed)) }
        let chunk =
            switch place {
            case .early: 0
            case .behindAll: outbound.hasWaiting || !loop.machine.isConnected ? chunksTaken + 1 : chunksTaken
            }
        pings.wait(behind: chunk, answer)
        flush(loop)
    }

    /// A moment after messages were written, a ping asks the server to confirm them. So a lost connection reports few
    /// messages as unconfirmed, and none when it was idle.
    private func scheduleConfirmation(_ loop: ConnectionLoop) {
        guard !isConfirmScheduled else { return }
        isConfirmScheduled = true
        loop.eventLoop.scheduleTask(in: .milliseconds(100)) {
            self.isConfirmScheduled = false
            guard loop.machine.isConnected, self.sent.isUnconfirmed else { return }
            if self.pings.isUnderWay {
                self.scheduleConfirmation(loop)
            } else {
                self.ping(.early, on: loop) { _ in }
            }
        }
    }

    /// Notes that the connection has ended: what was taken and not handed over goes first on the next one.
    func disconnected() {
        outbound.disconnected(unwritten: unwritten?.messages)
        unwritten = nil
        isWriting = false
        chunksTaken = 0
        pings.interrupted()
    }
}

/// Which of the published messages the server has confirmed, by their numbers. A pure value.
struct SentMessages {
    /// The last message that was written.
    private(set) var lastWritten: UInt64 = 0
    private var lastConfirmed: UInt64 = 0
    /// Messages that were on their way when a connection was lost, since the last flush that reported it.
    private var unreported = 0

    /// Whether messages were written that the server has not confirmed.
    var isUnconfirmed: Bool { lastConfirmed < lastWritten }

    mutating func written(upTo message: UInt64) { lastWritten = message }

    mutating func confirmed(upTo message: UInt64) { lastConfirmed = max(lastConfirmed, message) }

    /// Notes the loss of the connection; returns how many messages were on their way.
    mutating func connectionLost() -> Int {
        let underWay = Int(lastWritten - lastConfirmed)
        unreported += underWay
        lastConfirmed = lastWritten
        return underWay
    }

    /// How many messages were lost with connections since the last call.
    mutating func takeUnreported() -> Int {
        defer { unreported = 0 }
        return unreported
    }
}
