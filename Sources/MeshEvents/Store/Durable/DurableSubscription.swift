import Synchronization

/// A named subscription whose position the store keeps: it continues there after a restart of the subscriber, of the
/// server, or of both. Every event is delivered at least once, until it is acknowledged or given up.
///
/// ```swift
/// for try await delivery in try await persistent.subscribe(durable: "alerts", to: .toolCrashed) {
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
    /// How many events were acknowledged here because they do not pass the filter.
    public var skipped: UInt64 { source.counts.skipped.load(ordering: .relaxed) }

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

extension DurableSubscription {
    /// How a durable subscription behaves.
    public struct Configuration: Sendable, Hashable {
        /// What to do when the durable exists with other settings. Unlike
        /// ``PersistentEventBus/Configuration/Reconciliation`` it has no case that keeps them: subscriber and store
        /// must use the same acknowledgement wait and number of deliveries.
        public enum Reconciliation: Sendable, Hashable {
            /// Throw `durableMismatch`; the message names the differences.
            case fail
            /// Change it to the settings asked for; it keeps its position.
            case update
        }

        /// Where the durable begins when it is created; afterwards it continues after the events acknowledged. Default:
        /// with the oldest stored event, so that events from before the first start are not missed. `.new` for events
        /// from now on only.
        public var start: StreamStart
        /// How long a subscriber may hold an event without an answer before the store delivers it again. Default 30
        /// seconds. The handler form extends it by itself while a handler runs. The store keeps it: all subscribers of
        /// the durable must use the same value.
        public var acknowledgementWait: Duration
        /// How long failed events wait before they are delivered again.
        public var redelivery: RedeliveryDelays
        /// How often an event is delivered before it is given up and goes to the dead letters, from 1. Default 5.
        /// Deliveries that were handed back or lost with their connection or process count too: allow more over an
        /// unstable link. The store keeps it: all subscribers of the durable must use the same value.
        public var maximumDeliveries: Int
        /// Handler form: how many handlers run at once, from 1. Default 1: one after the other, in the stream's order
        /// (redeliveries aside).
        public var concurrency: Int
        /// How many events this subscriber may hold at once, those that wait here included, from 1. Default 256.
        /// How many wait here depends on how long it takes to handle one: a slow subscriber leaves events to others.
        public var maximumOutstanding: Int
        /// Only events that pass are delivered. Others are acknowledged as soon as they arrive: they count neither as
        /// held nor as failed, and do not become dead letters. Default: all events pass.
        ///
        /// The store does not know the filter. All subscribers of the durable should use the same one: an event that one
        /// of them acknowledges is not delivered to the others. A filter that changes counts from then on.
        public var filter: EventFilter
        /// What to do when the durable exists with other settings. Default: throw `durableMismatch`.
        public var reconcile: Reconciliation

        /// Creates a configuration.
        public init(
            start: StreamStart = .beginning,
            acknowledgementWait: Duration = .seconds(30),
            redelivery: RedeliveryDelays = RedeliveryDelays(),
            maximumDeliveries: Int = 5,
            concurrency: Int = 1,
            maximumOutstanding: Int = 256,
            filter: EventFilter = EventFilter(),
            reconcile: Reconciliation = .fail
        ) {
            self.start = start
            self.acknowledgementWait = acknowledgementWait
            self.redelivery = redelivery
            self.maximumDeliveries = maximumDeliveries
            self.concurrency = concurrency
            self.maximumOutstanding = maximumOutstanding
            self.filter = filter
            self.reconcile = reconcile
        }

        func validate() throws(MeshEventsError) {
            try redelivery.validate()
            guard concurrency >= 1 else {
                throw MeshEventsError(.invalidArgument, "the concurrency must be at least 1, not \(concurrency)")
            }
            guard maximumOutstanding >= concurrency else {
                throw MeshEventsError(
                    .invalidArgument,
                    "maximumOutstanding must be at least the concurrency (\(concurrency)), not \(maximumOutstanding)"
                )
            }
        }

        func durable(_ name: String, _ pattern: EventPattern) -> DurableDefinition {
            DurableDefinition(
                name: name,
                pattern: pattern,
                start: start,
                acknowledgementWait: acknowledgementWait,
                maximumDeliveries: maximumDeliveries
            )
        }
    }
}

/// How long a failed event waits before it is delivered again: longer each time, up to a maximum.
public struct RedeliveryDelays: Sendable, Hashable {
    /// The wait after the first delivery.
    public var first: Duration
    /// The factor by which the wait grows each time, from 1.
    public var factor: Double
    /// The longest wait.
    public var maximum: Duration

    /// Creates delays; the default is 1 s, 4 s, 16 s, 64 s …, at most 5 minutes.
    public init(first: Duration = .seconds(1), factor: Double = 4, maximum: Duration = .seconds(300)) {
        self.first = first
        self.factor = factor
        self.maximum = maximum
    }

    /// The same wait every time.
    public static func constant(_ delay: Duration) -> RedeliveryDelays {
        RedeliveryDelays(first: delay, factor: 1, maximum: delay)
    }

    /// The wait after a delivery.
    ///
    /// - Parameter delivery: the number of the delivery that failed, from 1.
    public func delay(afterDelivery delivery: Int) -> Duration {
        var delay = first
        for _ in 1..<max(delivery, 1) {
            // Compares before it multiplies: a duration may not be able to hold the product.
            guard delay < maximum, factor < maximum / max(delay, .nanoseconds(1)) else {
                return max(maximum, .zero)
            }
            delay = delay * factor
        }
        return min(max(delay, .zero), maximum)
    }

    func validate() throws(MeshEventsError) {
        guard first >= .zero, maximum >= first, factor >= 1, factor.isFinite else {
            throw MeshEventsError(
                .invalidArgument,
                "redelivery delays grow from a first one to a maximum by a factor of at least 1; got \(first), "
                    + "\(maximum), \(factor)"
            )
        }
    }
}
