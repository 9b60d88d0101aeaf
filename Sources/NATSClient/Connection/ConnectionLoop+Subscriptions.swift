import NIOCore
import Synchronization

// Subscribing, ending subscriptions, and restoring them.
extension ConnectionLoop {
    /// From any thread: subscribes and suspends until the server has the subscription.
    func subscribe(
        to subject: String,
        queueGroup: String?,
        receiver: any NATSMessageReceiver,
        timeout: Duration
    ) async throws(NATSError) -> UInt64 {
        let sid = nextSubscriptionID.wrappingAdd(1, ordering: .relaxed).newValue
        do throws(NATSError) {
            try await waitOnLoop(timeout: timeout, what: "the subscription to \(subject)") { loop, done in
                guard !loop.machine.isClosed else { return done(.failure(loop.machine.lastError ?? .closed)) }
                let entry = SubscriptionEntry(sid: sid, subject: subject, queueGroup: queueGroup, receiver: receiver)
                loop.subscriptions.insert(entry)
                loop.outbound.subscribe(to: subject, queueGroup: queueGroup, sid: sid)
                if loop.machine.isConnected { loop.subscribing.append(entry) }
                loop.ping(.early) { result in done(entry.failure.map(Result.failure) ?? result) }
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
            self.end(entry, error: nil)
        }
    }

    /// From any thread: ends a subscription once `count` messages in all have been delivered.
    func limitSubscription(_ sid: UInt64, to count: UInt64) {
        eventLoop.execute {
            guard let entry = self.subscriptions.find(sid) else { return }
            entry.limit = count
            guard entry.delivered < count else {
                self.unsubscribe(entry)
                return self.end(entry, error: nil)
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
                    loop.end(entry, error: nil)
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
                    for entry in loop.subscriptions.all { loop.end(entry, error: nil) }
                    done(result)
                }
            }
        } catch {
            await closeNow()
            throw error
        }
        await closeNow()
    }

    /// From any thread: closes, and returns when that is done.
    func closeNow() async {
        try? await eventLoop.submit { self.perform(self.machine.close()) }.get()
    }

    /// From any thread: closes, without waiting for that.
    func close() {
        eventLoop.execute { self.perform(self.machine.close()) }
    }

    /// Subscribes again on a new connection, with what is left of the limits; leaves out drained subscriptions.
    func restoreSubscriptions() {
        let entries = subscriptions.all.filter { !$0.isDraining }
        guard let channel, !entries.isEmpty else { return }
        var buffer = ByteBuffer()
        for entry in entries {
            CommandWriter.subscribe(into: &buffer, subject: entry.subject, queueGroup: entry.queueGroup, sid: entry.sid)
            guard let limit = entry.limit else { continue }
            // The server counts from zero again.
            CommandWriter.unsubscribe(into: &buffer, sid: entry.sid, after: limit - entry.delivered)
        }
        channel.writeAndFlush(buffer, promise: nil)
        // The ping behind them shows which of them were refused.
        subscribing = entries
        pingWaiters.append(PingWaiter(chunk: 0) { _ in })
    }

    /// Removes a subscription; calls its receiver's `receiveEnd` after its last batch.
    func end(_ entry: SubscriptionEntry, error: NATSError?) {
        guard subscriptions.remove(entry.sid) != nil else { return }
        if entry.isTouched {
            entry.isTouched = false
            touched.removeAll { $0 === entry }
            entry.receiver.receiveBatchEnd()
        }
        entry.receiver.receiveEnd(error)
    }

    private func unsubscribe(_ entry: SubscriptionEntry) {
        outbound.unsubscribe(sid: entry.sid)
    }
}
