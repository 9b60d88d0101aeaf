import NIOCore

// Flushing, pings and keep-alive.
extension ConnectionLoop {
    /// Writes what waits, one write at a time: what gathers meanwhile leaves together. A large amount leaves in pieces,
    /// with subscriptions and pings between them.
    func flush() {
        eventLoop.assertInEventLoop()
        guard !isWriting, machine.isConnected, let channel else { return }
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
            lastWritten = piece.lastMessage
            scheduleConfirmation()
        }
        writePing(behind: isLast ? chunksTaken : chunksTaken - 1, into: &commands)
        guard piece != nil || chunk.subscribes.readableBytes > 0 || commands.readableBytes > 0 else { return }
        isWriting = true
        unwritten = isLast ? nil : chunk
        if chunk.subscribes.readableBytes > 0 { channel.write(chunk.subscribes, promise: nil) }
        let attempt = machine.attempt
        let taken = chunk
        let size = piece?.bytes.readableBytes ?? 0
        write(piece?.bytes ?? ByteBuffer(), then: commands, to: channel).whenComplete { result in
            // After a failed write the channel closes: what waits is left for the next connection.
            guard case .success = result, self.machine.attempt == attempt, self.isWriting else { return }
            self.isWriting = false
            guard isLast else {
                self.outbound.written(size)
                return self.eventLoop.execute { self.flush() }
            }
            var next = self.outbound.written(taken)
            if !self.pingWaiters.isEmpty { next = .flush }
            switch next {
            case .rest: break
            case .flush: self.eventLoop.execute { self.flush() }
            case .linger: self.eventLoop.scheduleTask(in: Self.lingering) { self.flush() }
            }
        }
    }

    /// Appends a ping for the waiters whose turn it is, behind everything it has to confirm.
    private func writePing(behind chunk: Int, into commands: inout ByteBuffer) {
        guard !pingWaiters.isEmpty else { return }
        let ready = pingWaiters.filter { $0.chunk <= chunk }
        guard !ready.isEmpty else { return }
        pingWaiters.removeAll { $0.chunk <= chunk }
        // Every subscription has asked for a ping, so those that leave with this write are in front of it.
        pings.append(Ping(confirms: lastWritten, waiters: ready, subscribes: subscribing))
        subscribing = []
        commands.writeStaticString("PING\r\n")
    }

    /// How many bytes of messages are written at once. What has left is known only in steps of this size.
    private static let slice = 64 << 10

    /// Writes messages and the commands behind them, and notes what leaves. A write that the system takes at once says
    /// nothing about the server. When a write had to wait for room, the server has taken what came before.
    private func write(
        _ messages: ByteBuffer,
        then commands: ByteBuffer,
        to channel: any Channel
    ) -> EventLoopFuture<Void> {
        var messages = messages
        while messages.readableBytes > 2 * Self.slice, let slice = messages.readSlice(length: Self.slice) {
            channel.write(slice).whenSuccess { if !self.isHandingOver { self.moved(Self.slice) } }
        }
        let size = messages.readableBytes + commands.readableBytes
        if commands.readableBytes > 0 {
            if messages.readableBytes > 0 { channel.write(messages, promise: nil) }
            messages = commands
        }
        isHandingOver = true
        defer { isHandingOver = false }
        return channel.writeAndFlush(messages).map { if !self.isHandingOver { self.moved(size) } }
    }

    /// Notes that bytes have come, or that the server has taken some: the connection is alive.
    func moved(_ bytes: Int) {
        isSilent = false
        if machine.isConnected { counts.countMoved(bytes) }
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
    func ping(_ place: PingPlace = .behindAll, _ answer: @escaping (Result<Void, NATSError>) -> Void) {
        guard !machine.isClosed else { return answer(.failure(machine.lastError ?? .closed)) }
        let chunk =
            switch place {
            case .early: 0
            case .behindAll: outbound.hasWaiting || !machine.isConnected ? chunksTaken + 1 : chunksTaken
            }
        pingWaiters.append(PingWaiter(chunk: chunk, answer: answer))
        flush()
    }

    func startKeepAlive() {
        let interval = TimeAmount(configuration.pingInterval)
        silentIntervals = 0
        isSilent = false
        keepAlive = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in self.checkAlive() }
    }

    private func checkAlive() {
        silentIntervals = isSilent ? silentIntervals + 1 : 0
        isSilent = true
        guard silentIntervals <= configuration.maximumPingsOut else {
            let silence = configuration.pingInterval * silentIntervals
            return fail(NATSError(.connectionFailed, "the server has been silent for \(silence)", isRetriable: true))
        }
        ping(.early) { _ in }
    }

    /// A moment after messages were written, a ping asks the server to confirm them. So a lost connection reports few
    /// messages as unconfirmed, and none when it was idle.
    private func scheduleConfirmation() {
        guard !isConfirmScheduled else { return }
        isConfirmScheduled = true
        eventLoop.scheduleTask(in: .milliseconds(100)) {
            self.isConfirmScheduled = false
            guard self.machine.isConnected, self.lastConfirmed < self.lastWritten else { return }
            if self.pings.isEmpty { self.ping(.early) { _ in } } else { self.scheduleConfirmation() }
        }
    }

    /// From any thread: suspends until the server has answered a ping that follows everything published before.
    func flush(timeout: Duration) async throws(NATSError) {
        try await waitOnLoop(timeout: timeout, what: "the flush") { loop, done in
            loop.ping { result in done(result.flatMap { loop.takeUnreported() }) }
        }
    }

    /// The error of messages published since the last flush, when there is one.
    private func takeUnreported() -> Result<Void, NATSError> {
        if let refused = outbound.takeRefusals() { return .failure(refused) }
        guard unconfirmed > 0 else { return .success(()) }
        defer { unconfirmed = 0 }
        return .failure(
            NATSError(
                .messagesUnconfirmed,
                "the connection was lost with \(unconfirmed) messages unconfirmed; they may not have arrived"
            )
        )
    }

    /// Runs `start` on the loop. Suspends until it calls back, or until no byte has come or gone for `timeout`.
    func waitOnLoop(
        timeout: Duration,
        what: String,
        _ start: @escaping @Sendable (ConnectionLoop, @escaping (Result<Void, NATSError>) -> Void) -> Void
    ) async throws(NATSError) {
        let promise = eventLoop.makePromise(of: Void.self)
        let once = OneShot(promise)
        eventLoop.execute {
            let timer = IdleTimer(self, timeout) {
                let text = "\(what) was not answered within \(timeout); the server is down or overloaded"
                once.complete(.failure(NATSError(.timeout, text, isRetriable: true)))
            }
            start(self) { result in
                timer.cancel()
                once.complete(result)
            }
        }
        do {
            try await withTaskCancellationHandler {
                try await promise.futureResult.get()
            } onCancel: {
                once.complete(.failure(.cancelled))
            }
        } catch let error as NATSError {
            throw error
        } catch {
            throw NATSError(.closed, "the connection's event loop has ended", underlying: error)
        }
    }
}
