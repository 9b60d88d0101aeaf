import NIOCore

// What callers on any thread do with subscriptions, and how they wait for the loop.
extension ConnectionLoop {
    /// From any thread: subscribes and suspends until the server has the subscription.
    func subscribe(
        to subject: String,
        queueGroup: String?,
        receiver: any NATSMessageReceiver,
        timeout: Duration
    ) async throws(NATSError) -> UInt64 {
        let sid = subscriptions.makeID()
        do throws(NATSError) {
            try await waitOnLoop(timeout: timeout, what: "the subscription to \(subject)") { loop, done in
                let entry = SubscriptionEntry(sid: sid, subject: subject, queueGroup: queueGroup, receiver: receiver)
                loop.subscribe(entry, done)
            }
        } catch {
            cancelSubscription(sid)
            throw error
        }
        return sid
    }

    /// From any thread: ends a subscription at once.
    func cancelSubscription(_ sid: UInt64) {
        eventLoop.execute {
            guard let entry = self.subscriptions.find(sid) else { return }
            self.unsubscribe(entry)
            self.subscriptions.end(entry, error: nil)
        }
    }

    /// From any thread: ends a subscription once `count` messages in all have been delivered.
    func limitSubscription(_ sid: UInt64, to count: UInt64) {
        eventLoop.execute {
            guard let entry = self.subscriptions.find(sid) else { return }
            entry.limit = count
            guard entry.delivered < count else {
                self.unsubscribe(entry)
                return self.subscriptions.end(entry, error: nil)
            }
            self.outbound.unsubscribe(sid: sid, after: count)
        }
    }

    /// From any thread: ends a subscription after it has received what was sent to it.
    func drainSubscription(_ sid: UInt64, timeout: Duration) async throws(NATSError) {
        do throws(NATSError) {
            try await waitOnLoop(timeout: timeout, what: "the drain") { loop, done in
                guard let entry = loop.subscriptions.find(sid) else { return done(.success(())) }
                loop.unsubscribe(entry)
                entry.isDraining = true
                loop.ping { result in
                    loop.subscriptions.end(entry, error: nil)
                    done(result)
                }
            }
        } catch {
            cancelSubscription(sid)
            throw error
        }
    }

    /// From any thread: ends every subscription after it has received what was sent to it, sends what waits, and
    /// closes.
    func drain(timeout: Duration) async throws(NATSError) {
        do throws(NATSError) {
            try await waitOnLoop(timeout: timeout, what: "the drain") { loop, done in
                for entry in loop.subscriptions.all {
                    loop.unsubscribe(entry)
                    entry.isDraining = true
                }
                loop.ping { result in
                    for entry in loop.subscriptions.all { loop.subscriptions.end(entry, error: nil) }
                    done(result)
                }
            }
        } catch {
            await closeNow()
            throw error
        }
        await closeNow()
    }

    private func unsubscribe(_ entry: SubscriptionEntry) {
        outbound.unsubscribe(sid: entry.sid)
    }

    /// Runs `start` on the loop. Suspends until it calls back, or until no byte has come or gone for `timeout`.
    func waitOnLoop(
        timeout: Duration,
        what: String,
        _ start: @escaping @Sendable (ConnectionLoop, @escaping (Result<Void, NATSError>) -> Void) -> Void
    ) async throws(NATSError) {
        let promise = eventLoop.makePromise(of: Void.self)
        let once = SinglePromise(promise)
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
