extension JetStreamError {
    /// The server's precise error code (nats-server, `errors.json`); there are constants for those that callers tell
    /// apart.
    public struct ErrorCode: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
        /// The number on the wire.
        public let rawValue: Int

        /// Creates a code from its number.
        public init(rawValue: Int) { self.rawValue = rawValue }

        /// The number.
        public var description: String { "\(rawValue)" }

        /// The account has used up its resources.
        public static let accountResourcesExceeded = ErrorCode(rawValue: 10002)
        /// Not every server of the cluster answered.
        public static let clusterIncomplete = ErrorCode(rawValue: 10004)
        /// No server of the cluster can take the stream.
        public static let clusterNoPeers = ErrorCode(rawValue: 10005)
        /// JetStream is temporarily unavailable: the cluster has no leader.
        public static let clusterNotAvailable = ErrorCode(rawValue: 10008)
        /// The server that was asked is not the leader.
        public static let clusterNotLeader = ErrorCode(rawValue: 10009)
        /// The consumer's name is in use with another configuration (servers before 2.10).
        public static let consumerNameExists = ErrorCode(rawValue: 10013)
        /// There is no such consumer.
        public static let consumerNotFound = ErrorCode(rawValue: 10014)
        /// The server has not enough resources.
        public static let insufficientResources = ErrorCode(rawValue: 10023)
        /// No more consumers are allowed.
        public static let maximumConsumersReached = ErrorCode(rawValue: 10026)
        /// No more streams are allowed.
        public static let maximumStreamsReached = ErrorCode(rawValue: 10027)
        /// The server has not enough memory for streams.
        public static let memoryExceeded = ErrorCode(rawValue: 10028)
        /// There is no such message.
        public static let messageNotFound = ErrorCode(rawValue: 10037)
        /// This account may not use JetStream.
        public static let notEnabledForAccount = ErrorCode(rawValue: 10039)
        /// The server has not enough storage for streams.
        public static let storageExceeded = ErrorCode(rawValue: 10047)
        /// The stream's configuration is not valid.
        public static let invalidStreamConfiguration = ErrorCode(rawValue: 10052)
        /// The message is larger than the stream accepts.
        public static let messageTooLarge = ErrorCode(rawValue: 10054)
        /// The stream exists with another configuration.
        public static let streamNameInUse = ErrorCode(rawValue: 10058)
        /// There is no such stream.
        public static let streamNotFound = ErrorCode(rawValue: 10059)
        /// The message went to another stream than expected.
        public static let streamNotExpected = ErrorCode(rawValue: 10060)
        /// The subjects belong to another stream.
        public static let subjectsOverlap = ErrorCode(rawValue: 10065)
        /// The stream's last message id is not the expected one.
        public static let wrongLastMessageID = ErrorCode(rawValue: 10070)
        /// The stream's last sequence is not the expected one.
        public static let wrongLastSequence = ErrorCode(rawValue: 10071)
        /// Several replicas need a cluster.
        public static let replicasNotSupported = ErrorCode(rawValue: 10074)
        /// The server runs without JetStream.
        public static let notEnabled = ErrorCode(rawValue: 10076)
        /// The message could not be stored: a limit of the stream is reached, or its disk failed.
        public static let storeFailed = ErrorCode(rawValue: 10077)
        /// The consumer must acknowledge: messages of a work-queue stream are gone once they are acknowledged.
        public static let acknowledgementRequired = ErrorCode(rawValue: 10084)
        /// The filter lies outside the stream's subjects (servers before 2.10).
        public static let filterOutsideStream = ErrorCode(rawValue: 10093)
        /// The stream is sealed.
        public static let streamSealed = ErrorCode(rawValue: 10109)
        /// No server that has the stream is up.
        public static let streamOffline = ErrorCode(rawValue: 10118)
        /// Several filters cannot be used in this request.
        public static let multipleFiltersNotAllowed = ErrorCode(rawValue: 10137)
        /// The consumer exists with another configuration.
        public static let consumerExists = ErrorCode(rawValue: 10148)
        /// A message with the same id is being stored at this moment.
        public static let duplicateInProcess = ErrorCode(rawValue: 10158)
        /// The stream's last sequence is not the expected one (the form without a number).
        public static let wrongLastSequenceConstant = ErrorCode(rawValue: 10164)
        /// The stream has more to do than it can take at the moment.
        public static let tooManyRequests = ErrorCode(rawValue: 10167)

        /// Whether the cause can pass by itself.
        var isRetriable: Bool {
            switch self {
            case .clusterIncomplete, .clusterNotAvailable, .clusterNotLeader, .duplicateInProcess, .tooManyRequests,
                .streamOffline, .insufficientResources, .storageExceeded, .memoryExceeded, .storeFailed,
                .accountResourcesExceeded:
                true
            default: false
            }
        }

        /// Whether a 503 with this code lasts until an administrator changes the server.
        var isPermanent: Bool {
            switch self {
            case .notEnabled, .notEnabledForAccount: true
            default: false
            }
        }

        /// Whether the store has no room.
        public var meansFull: Bool {
            switch self {
            case .insufficientResources, .storageExceeded, .memoryExceeded, .storeFailed, .accountResourcesExceeded:
                true
            default: false
            }
        }
    }
}
