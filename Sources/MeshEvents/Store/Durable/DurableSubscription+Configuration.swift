extension DurableSubscription {
    /// How a durable subscription behaves.
    public struct Configuration: Sendable, Hashable {
        /// Where the durable begins when it is created; afterwards it continues after the events acknowledged. Default:
        /// with the oldest stored event, so that events from before the first start are not missed. `.new` for events
        /// from now on only.
        public var start: DurableStart
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
        /// What to do when the durable exists with other settings. Default: throw `durableMismatch`.
        public var reconcile: DurableReconcile

        /// Creates a configuration.
        public init(
            start: DurableStart = .beginning,
            acknowledgementWait: Duration = .seconds(30),
            redelivery: RedeliveryDelays = RedeliveryDelays(),
            maximumDeliveries: Int = 5,
            concurrency: Int = 1,
            maximumOutstanding: Int = 256,
            reconcile: DurableReconcile = .fail
        ) {
            self.start = start
            self.acknowledgementWait = acknowledgementWait
            self.redelivery = redelivery
            self.maximumDeliveries = maximumDeliveries
            self.concurrency = concurrency
            self.maximumOutstanding = maximumOutstanding
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

        func durable(_ name: String, _ pattern: EventPattern) -> DurableConfiguration {
            DurableConfiguration(
                name: name,
                pattern: pattern,
                start: start,
                acknowledgementWait: acknowledgementWait,
                maximumDeliveries: maximumDeliveries
            )
        }
    }
}
