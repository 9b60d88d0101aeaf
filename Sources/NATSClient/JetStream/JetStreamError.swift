import MeshLogging

/// An error of JetStream: the server's, or the reason why there was no usable answer.
public struct JetStreamError: Error, Sendable, CustomStringConvertible {
    /// Where the error comes from.
    public enum Kind: Sendable, Hashable {
        /// The server answered with it; see ``JetStreamError/code`` and ``JetStreamError/errorCode``.
        case api
        /// The connection reported it; see ``JetStreamError/underlying``.
        case connection
        /// The answer is not what the API describes.
        case invalidAnswer
        /// An argument outside its range; nothing was sent.
        case invalidArgument
        /// The consumer that was read is gone, or its server no longer answers.
        case consumerLost
        /// The server will not deliver the messages in the way they are requested, because of one of its limits; trying
        /// again does not help.
        case refused
        /// The deadline passed.
        case timeout
    }

    /// Where the error comes from.
    public let kind: Kind
    /// The server's HTTP-like code (400, 404, 503 …); 0 unless the server answered with the error.
    public let code: Int
    /// The server's precise code; 0 unless the server answered with the error.
    public let errorCode: ErrorCode
    /// What the server says, or one sentence on what happened.
    public let message: String
    /// The connection's error, when it is the cause.
    public let underlying: NATSError?

    /// Creates an error that a server answered with.
    public init(code: Int, errorCode: ErrorCode, message: String) {
        self.kind = .api
        self.code = code
        self.errorCode = errorCode
        self.message = message.harmless
        self.underlying = nil
    }

    /// Creates an error for an answer that is missing or unusable.
    public init(_ kind: Kind, _ message: String, underlying: NATSError? = nil) {
        self.kind = kind
        self.code = 0
        self.errorCode = ErrorCode(rawValue: 0)
        self.message = message.harmless
        self.underlying = underlying
    }

    /// Creates an error from the connection's.
    public init(_ error: NATSError) {
        self.init(error.code == .timeout ? .timeout : .connection, error.message, underlying: error)
    }

    /// Whether the same request can succeed later without being changed.
    public var isRetriable: Bool {
        switch kind {
        case .api: errorCode.isRetriable || (code == 503 && !errorCode.isPermanent) || isFormerOneInTheWay
        case .connection: underlying?.isRetriable ?? false || isNoResponders
        case .timeout, .consumerLost: true
        case .invalidAnswer, .invalidArgument, .refused: false
        }
    }

    /// Whether a stream or a consumer could not be created because the server still removes the files of one that had its
    /// name.
    ///
    /// The server tells other causes, as a disk that cannot be written, in the same words.
    var isFormerOneInTheWay: Bool {
        switch errorCode {
        case .streamCreationFailed: message == "error creating store for stream"
        case .consumerCreationFailed: message.hasSuffix("no such file or directory")
        default: false
        }
    }

    /// Whether no server takes the request's subject: this connection has no JetStream, or none at the moment.
    public var isNoResponders: Bool { underlying?.code == .noResponders }

    /// The kind, the codes and the message.
    public var description: String {
        kind == .api ? "JetStream \(errorCode.rawValue) (\(code)): \(message)" : "JetStream \(kind): \(message)"
    }
}

extension JetStreamError {
    /// The error in a server's answer.
    struct Answer: Decodable {
        let code: Int
        let err_code: Int?
        let description: String?

        var error: JetStreamError {
            JetStreamError(
                code: code,
                errorCode: ErrorCode(rawValue: err_code ?? 0),
                message: description ?? "no description"
            )
        }
    }
}

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
        /// The consumer could not be created, for the reason in the message.
        public static let consumerCreationFailed = ErrorCode(rawValue: 10012)
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
        /// The stream could not be created, for the reason in the message.
        public static let streamCreationFailed = ErrorCode(rawValue: 10049)
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
        /// The stream does not allow messages a time to live of their own (`allow_msg_ttl`).
        public static let messageTTLDisabled = ErrorCode(rawValue: 10166)
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
