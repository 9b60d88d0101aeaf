extension DurableSubscription {
    /// How a durable subscription behaves.
    public struct Configuration: Sendable, Hashable {
        /// Where it begins when it is created; afterwards it goes on where it was. Default: with the oldest event that
        /// is kept, so that nothing is missed that happened before the first start; `.new` for what only matters from
        /// now on.
        public var start: DurableStart
        /// How long an event may be in somebody's hands without an answer before it is delivered again. Default 30
        /// seconds. The handler form extends it by itself while a handler runs. Kept by the store: all who share the
        /// durable must agree.
        public var acknowledgementWait: Duration
        /// How long failed events wait before they are delivered again.
        public var redelivery: RedeliveryDelays
        /// How often an event is delivered before it is given up and goes to the dead letters, from 1. Default 5.
        /// A delivery that was handed back, was lost with its connection or whose process died counts too: allow more over
        /// a link that breaks all the time. Kept by the store: all must agree.
        public var maximumDeliveries: Int
        /// Handler form: how many handlers run at once, from 1. Default 1: one after the other, in the stream's order
        /// (redeliveries aside).
        public var concurrency: Int
        /// How many events may be in this subscriber's hands at once, those that wait here included, from 1. Default
        /// 256. How many of them wait here depends on how long events take: a slow subscriber leaves them to others.
        public var maximumOutstanding: Int
        /// What to do when the durable exists with other settings. Default: throw.
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
