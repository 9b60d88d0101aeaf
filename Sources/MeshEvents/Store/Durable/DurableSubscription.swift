import Synchronization

/// A named subscription whose position the store keeps: it continues there after a restart of the subscriber, of the
/// server, or of both. Every event is delivered at least once, until it is acknowledged or given up.
///
/// ```swift
/// for try await delivery in try await persistent.subscribe(durable: "alerts", to: "events.tool.crashed") {
///     try await alert(delivery.event)
///     try await delivery.ack()
/// }
/// ```
///
/// Several subscriptions of one name, in one process or many, share the events. An event that fails is delivered again
/// after a growing delay. After ``Configuration/maximumDeliveries`` it is stored as `user.dead_letter.<name>`, and
/// acknowledged only then. A message that is no event goes there at once.
///
/// The sequence ends after ``cancel()``, a drain or the end of the task that reads it; it throws when the durable is
/// deleted or the connection closed. Several iterators share the events. Releasing the last reference cancels the
/// subscription.
public final class DurableSubscription: AsyncSequence, Sendable {
    /// An event that the reader must answer.
    public typealias Element = DurableDelivery
    /// The only error it throws.
    public typealias Failure = MeshEventsError

    private let source: DurableSource

    init(source: DurableSource) { self.source = source }

    deinit { source.cancel() }

    /// The durable's name.
    public var name: String { source.name }
    /// How many events were acknowledged here.
    public var acknowledged: UInt64 { source.counts.acknowledged.load(ordering: .relaxed) }
    /// How many deliveries failed here.
    public var failed: UInt64 { source.counts.failed.load(ordering: .relaxed) }
    /// How many events were given up here and stored as dead letters.
    public var deadLettered: UInt64 { source.counts.deadLettered.load(ordering: .relaxed) }
    /// How many messages were given up here because they are no events.
    public var malformed: UInt64 { source.counts.malformed.load(ordering: .relaxed) }
    /// How many events were given up here because their signature is not valid; see ``SignatureVerification``.
    public var rejected: UInt64 { source.counts.rejected.load(ordering: .relaxed) }
    /// How many deliveries were not the first of their event.
    public var redelivered: UInt64 { source.counts.redelivered.load(ordering: .relaxed) }

    /// Ends at once: unanswered events are handed back, and the store delivers them to another subscriber without
    /// delay. Harmless when repeated.
    public func cancel() { source.cancel() }

    /// Ends gently: no more events are delivered, and on return all delivered events have been answered.
    ///
    /// - Throws: `timeout`; then the unanswered events have been handed back.
    public func drain(timeout: Duration = .seconds(10)) async throws(MeshEventsError) {
        try await source.drain(until: .now + timeout)
    }

    /// An iterator over the events to come.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(subscription: self) }

    /// Takes events one by one.
    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let subscription: DurableSubscription

        /// The next event; `nil` at the end.
        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(MeshEventsError) -> DurableDelivery? {
            try await subscription.source.next(isolation: actor)
        }

        /// The next event; `nil` at the end.
        public mutating func next() async throws(MeshEventsError) -> DurableDelivery? {
            try await next(isolation: #isolation)
        }
    }
}
