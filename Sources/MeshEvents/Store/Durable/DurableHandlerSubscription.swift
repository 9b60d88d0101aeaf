import Locking
import Logging
import Synchronization

/// A handler that is called for every event of a durable subscription; see ``DurableSubscription``.
///
/// When the handler returns, the event is acknowledged; when it throws, the event comes again after a delay, and after
/// the maximum of deliveries it goes to the dead letters. ``DeliveryRefusal`` says more. It lives until ``cancel()``, a
/// drain or the closing of the bus, even when nobody keeps this object.
public final class DurableHandlerSubscription: Sendable {
    private let source: DurableSource
    private let workers = Locked<[Task<Void, Never>]>([])
    private let finished = Completion()

    init(
        source: DurableSource,
        handler: @escaping @Sendable (DurableDelivery) async throws -> Void
    ) {
        self.source = source
        let finished = finished
        let tasks = (0..<source.configuration.concurrency).map { _ in
            Task {
                do throws(MeshEventsError) {
                    while let delivery = try await source.next() { await Self.handle(delivery, source, handler) }
                } catch {
                    // The source has logged it, and keeps it.
                }
            }
        }
        workers.withLock { $0 = tasks }
        Task {
            for task in tasks { await task.value }
            finished.complete()
        }
    }

    /// The durable's name.
    public var name: String { source.name }
    /// How many events were acknowledged here.
    public var acknowledged: UInt64 { source.counts.acknowledged.load(ordering: .relaxed) }
    /// How many times the handler has thrown.
    public var failed: UInt64 { source.counts.failed.load(ordering: .relaxed) }
    /// How many events were given up here and are dead letters now.
    public var deadLettered: UInt64 { source.counts.deadLettered.load(ordering: .relaxed) }
    /// How many of them were not events.
    public var malformed: UInt64 { source.counts.malformed.load(ordering: .relaxed) }
    /// How many events were given up here because their signature does not hold; see ``SignatureVerification``.
    public var rejected: UInt64 { source.counts.rejected.load(ordering: .relaxed) }
    /// How many deliveries were not the first of their event.
    public var redelivered: UInt64 { source.counts.redelivered.load(ordering: .relaxed) }

    /// Ends at once: handlers that run see their task cancelled, and their events are handed back and come to somebody
    /// else without delay. Harmless when repeated.
    public func cancel() {
        source.cancel()
        cancelWorkers()
    }

    /// Ends gently: handlers that run go on to their end, what waits is handed back.
    ///
    /// - Throws: `timeout`; handlers that still ran were cancelled then, and their events handed back.
    public func drain(timeout: Duration = .seconds(10)) async throws(MeshEventsError) {
        let deadline = ContinuousClock.now + timeout
        await source.stopTaking()
        do throws(MeshEventsError) {
            try await finished.wait(until: deadline, for: "the handlers to finish with their events")
        } catch {
            cancelWorkers()
            // A handler that heeds its cancellation gives its event back itself, when nothing of it runs any more.
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
        try await finished.wait(until: .now + .seconds(100 * 365 * 86_400), for: "the end of the subscription")
        if let failure = source.failure { throw failure }
    }

    private func cancelWorkers() {
        for worker in workers.withLock({ $0 }) { worker.cancel() }
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
                try await source.fail(id, delay: delay, reason: "to be tried again")
            case .failure where Task.isCancelled: await source.handBack(id)
            case .failure(let error): try await source.fail(id, delay: nil, reason: "\(error)")
            }
        } catch {
            // The handler may have answered itself.
            guard error.code != .closed else { return }
            source.report("an answer was not confirmed; its event may come again", error)
        }
    }
}
