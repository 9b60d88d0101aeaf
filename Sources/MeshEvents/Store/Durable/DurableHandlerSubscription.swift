import Logging
import MeshConcurrency
import Synchronization

/// A handler that is called for every event of a durable subscription; see ``DurableSubscription``.
///
/// When the handler returns, the event is acknowledged. When it throws, the event is delivered again after a delay, and
/// goes to the dead letters after the maximum of deliveries. It can throw a ``DeliveryRefusal`` to choose. The
/// subscription lives until ``cancel()``, a drain or the closing of the bus, even when the caller does not keep this
/// object.
public final class DurableHandlerSubscription: Sendable {
    private let source: DurableSource
    /// Runs the workers; sends ``finished`` when all have ended.
    private let work: Task<Void, Never>
    private let finished = OneTimeSignal()

    init(
        source: DurableSource,
        handler: @escaping @Sendable (DurableDelivery) async throws -> Void
    ) {
        self.source = source
        work = Task { [finished] in
            await withDiscardingTaskGroup { group in
                for _ in 0..<source.configuration.concurrency {
                    group.addTask {
                        do throws(MeshEventsError) {
                            while let delivery = try await source.next() {
                                await Self.handle(delivery, source, handler)
                            }
                        } catch {
                            // The source has logged the error and keeps it in `failure`.
                        }
                    }
                }
            }
            finished.send()
        }
    }

    /// The durable's name.
    public var name: String { source.name }
    /// How many events were acknowledged here.
    public var acknowledged: UInt64 { source.counts.acknowledged.load(ordering: .relaxed) }
    /// How many times the handler has thrown.
    public var failed: UInt64 { source.counts.failed.load(ordering: .relaxed) }
    /// How many events were given up here and stored as dead letters.
    public var deadLettered: UInt64 { source.counts.deadLettered.load(ordering: .relaxed) }
    /// How many messages were given up here because they are no events.
    public var malformed: UInt64 { source.counts.malformed.load(ordering: .relaxed) }
    /// How many events were given up here because their signature is not valid; see ``SignatureVerification``.
    public var rejected: UInt64 { source.counts.rejected.load(ordering: .relaxed) }
    /// How many deliveries were not the first of their event.
    public var redelivered: UInt64 { source.counts.redelivered.load(ordering: .relaxed) }
    /// How many events were acknowledged here because they do not pass the filter.
    public var skipped: UInt64 { source.counts.skipped.load(ordering: .relaxed) }

    /// Sets the function to call when the durable does not answer, with the reason, and with `nil` when it answers again.
    package func whenTroubled(_ tell: @escaping @Sendable (MeshEventsError?) -> Void) {
        source.consumer.whenTroubled(tell)
    }

    /// Ends at once: running handlers see their task cancelled. Their events are handed back, and the store delivers
    /// them to another subscriber without delay. Harmless when repeated.
    public func cancel() {
        source.cancel()
        work.cancel()
    }

    /// Ends gently: running handlers finish, waiting events are handed back.
    ///
    /// - Throws: `timeout`; then the handlers still running were cancelled, and their events handed back.
    public func drain(timeout: Duration = .seconds(10)) async throws(MeshEventsError) {
        let deadline = ContinuousClock.now + timeout
        await source.stopTaking()
        do throws(MeshEventsError) {
            try await finished.wait(until: deadline, for: "the handlers to finish with their events")
        } catch {
            work.cancel()
            // A handler that reacts to the cancellation returns, and its event is then handed back by its worker.
            try? await finished.wait(until: .now + .seconds(5), for: "")
            await source.cancelAndWait()
            throw error
        }
        try await source.drain(until: max(deadline, .now + .seconds(1)))
    }

    /// Waits until the subscription has ended.
    ///
    /// - Throws: why it ended by itself: `durableNotFound` when the durable was deleted, `closed` when the connection
    ///   or the waiting task has ended …
    public func waitUntilEnded() async throws(MeshEventsError) {
        try await finished.wait(for: "the end of the subscription")
        if let failure = source.failure { throw failure }
    }

    private static func handle(
        _ delivery: DurableDelivery,
        _ source: DurableSource,
        _ handler: @Sendable (DurableDelivery) async throws -> Void
    ) async {
        let id = delivery.id
        var outcome: Result<Void, any Error> = .success(())
        do {
            if let tracing = source.bus.tracing {
                try await tracing.process(delivery.event, group: source.name, deliveries: delivery.deliveries) {
                    try await handler(delivery)
                }
            } else {
                try await handler(delivery)
            }
        } catch {
            outcome = .failure(error)
        }
        do throws(MeshEventsError) {
            switch outcome {
            case .success: try await source.acknowledge(id)
            case .failure(DeliveryRefusal.terminate(let reason)): try await source.terminate(id, reason: reason)
            case .failure(DeliveryRefusal.retry(let delay)):
                try await source.fail(id, delay: delay, reason: "the handler asked for a retry")
            case .failure where Task.isCancelled: await source.handBack(id)
            case .failure(let error): try await source.fail(id, delay: nil, reason: "\(error)")
            }
        } catch {
            // `closed` means that the handler has answered the delivery itself.
            guard error.code != .closed else { return }
            source.report("an answer was not confirmed; its event may be delivered again", error)
        }
    }
}
