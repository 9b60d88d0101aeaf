/// All there is to say about a stream at one moment.
public struct StreamReport: Sendable, Hashable {
    /// How much the stream holds.
    public let state: StreamState
    /// How it is configured; `reconcile`, the deadline and the window have their defaults here.
    public let configuration: PersistenceConfiguration
    /// When the oldest message it holds was stored; `nil` when it is empty.
    public let firstTime: Timestamp?
    /// When the newest message it holds was stored; `nil` when it is empty.
    public let lastTime: Timestamp?
    /// How many messages it holds of each subject.
    public let subjects: [String: UInt64]
    /// Who reads it by a name of its own.
    public let consumers: [Consumer]

    /// A reader with a place in the stream.
    public struct Consumer: Sendable, Hashable {
        /// Its name.
        public let name: String
        /// Whether it survives when nobody reads.
        public let isDurable: Bool
        /// Which subjects it reads; empty for all.
        public let filters: [String]
        /// How many matching messages it has not been given yet.
        public let pending: UInt64
        /// How many messages it was given and has not acknowledged.
        public let unacknowledged: Int
        /// How many of those were given more than once.
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
        configuration: PersistenceConfiguration,
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
