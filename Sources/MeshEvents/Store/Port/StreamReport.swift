/// A report on a stream at one moment: its state, configuration, subjects and consumers.
public struct StreamReport: Sendable, Hashable {
    /// How much the stream holds.
    public let state: StreamState
    /// The stream's configuration; `reconcile`, the deadline and the window have their defaults.
    public let configuration: PersistentEventBus.Configuration
    /// When the oldest message it holds was stored; `nil` when it is empty.
    public let firstTime: Timestamp?
    /// When the newest message it holds was stored; `nil` when it is empty.
    public let lastTime: Timestamp?
    /// How many messages it holds of each subject.
    public let subjects: [String: UInt64]
    /// The stream's consumers.
    public let consumers: [Consumer]

    /// A consumer: a reader whose position the server keeps.
    public struct Consumer: Sendable, Hashable {
        /// Its name.
        public let name: String
        /// Whether it is durable: the server keeps it when no client reads from it.
        public let isDurable: Bool
        /// Which subjects it reads; empty for all.
        public let filters: [String]
        /// How many matching messages have not been delivered to it yet.
        public let pending: UInt64
        /// How many messages were delivered to it and not acknowledged.
        public let unacknowledged: Int
        /// How many of those were delivered more than once.
        public let redelivered: Int

        /// Creates a description of a consumer.
        public init(
            name: String,
            isDurable: Bool,
            filters: [String],
            pending: UInt64,
            unacknowledged: Int,
            redelivered: Int
        ) {
            self.name = name
            self.isDurable = isDurable
            self.filters = filters
            self.pending = pending
            self.unacknowledged = unacknowledged
            self.redelivered = redelivered
        }
    }

    /// Creates a report.
    public init(
        state: StreamState,
        configuration: PersistentEventBus.Configuration,
        firstTime: Timestamp?,
        lastTime: Timestamp?,
        subjects: [String: UInt64],
        consumers: [Consumer]
    ) {
        self.state = state
        self.configuration = configuration
        self.firstTime = firstTime
        self.lastTime = lastTime
        self.subjects = subjects
        self.consumers = consumers
    }
}
