import NIOCore

// Flushing, pings and keep-alive.
extension ConnectionLoop {
    /// Writes what waits, one write at a time: what gathers meanwhile leaves together.
    func flush() {
        eventLoop.assertInEventLoop()
        guard !isWriting, machine.isConnected, let channel else { return }
        var chunk = outbound.take()
        let hasMessages = chunk.messages.readableBytes > 0
        if hasMessages {
            lastWritten = chunk.lastMessage
            scheduleConfirmation()
        }
        if !pingWaiters.isEmpty {
            pings.append(Ping(confirms: lastWritten, waiters: pingWaiters, subscribes: subscribing))
            pingWaiters = []
            subscribing = []
            // The ping rides along behind everything it is to confirm.
            chunk.unsubscribes.writeStaticString("PING\r\n")
        }
        guard !chunk.isEmpty else { return }
        isWriting = true
        let attempt = machine.attempt
        if chunk.subscribes.readableBytes > 0 { channel.write(chunk.subscribes, promise: nil) }
        let sent = chunk
        if chunk.unsubscribes.readableBytes > 0 {
            channel.write(chunk.messages, promise: nil)
            chunk.messages = chunk.unsubscribes
        }
        channel.writeAndFlush(chunk.messages).whenComplete { result in
            // After a failed write the channel closes: what waits is for the next connection.
            guard case .success = result, self.machine.attempt == attempt, self.isWriting else { return }
            self.isWriting = false
            var next = self.outbound.written(sent)
            if !self.pingWaiters.isEmpty { next = .flush }
            switch next {
            case .rest: break
            case .flush: self.eventLoop.execute { self.flush() }
            case .linger: self.eventLoop.scheduleTask(in: Self.lingering) { self.flush() }
            }
        }
    }

    /// How long a few messages wait for company in the middle of a burst.
    private static let lingering = TimeAmount.microseconds(50)

    /// Calls `waiter` when the server has answered a ping that follows everything published so far.
    func ping(_ waiter: @escaping PingWaiter) {
        guard !machine.isClosed else { return waiter(.failure(machine.lastError ?? .closed)) }
        pingWaiters.append(waiter)
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
        ping { _ in }
    }

    /// A moment after messages were written, a ping asks the server to confirm them, so that a lost connection reports
    /// few messages as unconfirmed, and none when it was idle.
    private func scheduleConfirmation() {
        guard !isConfirmScheduled else { return }
        isConfirmScheduled = true
        eventLoop.scheduleTask(in: .milliseconds(100)) {
            self.isConfirmScheduled = false
            guard self.machine.isConnected, self.lastConfirmed < self.lastWritten else { return }
            if self.pings.isEmpty { self.ping { _ in } } else { self.scheduleConfirmation() }
        }
    }

    /// From any thread: suspends until the server has answered a ping that follows everything published before.
    func flush(timeout: Duration) async throws(NATSError) {
        try await waitOnLoop(timeout: timeout, what: "the flush") { loop, done in
            loop.ping { result in done(result.flatMap { loop.takeUnreported() }) }
        }
    }

    /// What went wrong with published messages since the last flush.
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

    /// Runs `start` on the loop and suspends until it calls back, or until the deadline.
    func waitOnLoop(
        timeout: Duration,
        what: String,
        _ start: @escaping @Sendable (ConnectionLoop, @escaping (Result<Void, NATSError>) -> Void) -> Void
    ) async throws(NATSError) {
        let promise = eventLoop.makePromise(of: Void.self)
        let once = OneShot(promise)
        eventLoop.execute {
            let timer = self.eventLoop.scheduleTask(in: TimeAmount(timeout)) {
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
