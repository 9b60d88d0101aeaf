/// What the server says about a stream.
public struct StreamInformation: Sendable, Hashable, Codable {
    /// The stored configuration, with all fields.
    public let configuration: StreamConfiguration
    /// What the stream holds.
    public let state: State
    /// The JetStream domain of the servers that keep it; `nil` when they have none.
    public let domain: String?
    /// When the stream was created, RFC 3339. Together with a sequence it identifies a message.
    public let created: String?
    /// Which servers keep it; `nil` from a server outside a cluster.
    public let cluster: ClusterInformation?
    /// The server's time when it answered, RFC 3339; `nil` from servers before 2.10.
    public let time: String?

    /// What a stream holds at one moment.
    public struct State: Sendable, Hashable, Codable {
        /// How many messages.
        public let messages: UInt64
        /// Their size in bytes, as the store counts it.
        public let bytes: UInt64
        /// The oldest sequence; 0 when nothing was stored yet, one past the last when all are gone.
        public let firstSequence: UInt64
        /// The newest sequence ever given; 0 when nothing was stored yet.
        public let lastSequence: UInt64
        /// When the oldest message was stored, RFC 3339.
        public let firstTime: String?
        /// When the newest message was stored, RFC 3339.
        public let lastTime: String?
        /// How many consumers read the stream.
        public let consumerCount: Int
        /// Message counts by subject, when they were asked for.
        public let subjects: [String: UInt64]?

        private enum CodingKeys: String, CodingKey {
            case messages, bytes, subjects
            case firstSequence = "first_seq"
            case lastSequence = "last_seq"
            case firstTime = "first_ts"
            case lastTime = "last_ts"
            case consumerCount = "consumer_count"
        }
    }

    private enum CodingKeys: String, CodingKey {
        case state, cluster, domain, created
        case configuration = "config"
        case time = "ts"
    }
}

/// What an account uses of JetStream.
public struct JetStreamAccount: Sendable, Hashable, Codable {
    /// Bytes in memory streams.
    public let memory: UInt64
    /// Bytes in file streams.
    public let storage: UInt64
    /// How many streams.
    public let streams: Int
    /// How many consumers.
    public let consumers: Int
    /// What the account may use; `nil` when its limits are by tiers of replicas.
    public let limits: Limits?

    /// What an account may use of JetStream; -1 for no limit.
    public struct Limits: Sendable, Hashable, Codable {
        /// Bytes in memory streams.
        public let memory: Int64
        /// Bytes in file streams.
        public let storage: Int64
        /// How many streams.
        public let streams: Int64
        /// How many consumers.
        public let consumers: Int64

        private enum CodingKeys: String, CodingKey {
            case memory = "max_memory"
            case storage = "max_storage"
            case streams = "max_streams"
            case consumers = "max_consumers"
        }
    }
}

/// Which servers of a cluster keep a stream.
public struct ClusterInformation: Sendable, Hashable, Codable {
    /// The cluster's name.
    public let name: String?
    /// The name of the server that decides the order of messages; `nil` while the servers elect one.
    public let leader: String?
    /// The other servers that keep it; `nil` when there are none.
    public let replicas: [Replica]?

    /// A server that keeps a copy.
    public struct Replica: Sendable, Hashable, Codable {
        /// The server's name.
        public let name: String
        /// Whether the replica has everything that the leader has.
        public let isCurrent: Bool
        /// Whether the leader cannot reach the replica.
        public let isOffline: Bool?

        private enum CodingKeys: String, CodingKey {
            case name
            case isCurrent = "current"
            case isOffline = "offline"
        }
    }
}
