import MeshLogging

/// An error of a key-value bucket: what happened, and what to change.
public struct KeyValueError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure this is; stable, meant for `switch`.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code's name, as it appears in logs.
        public let description: String

        init(_ description: String) { self.description = description }

        /// A key or a pattern that breaks the rules of keys; nothing was sent.
        public static let invalidKey = Code("invalidKey")
        /// A name that cannot be a bucket's; nothing was sent.
        public static let invalidBucket = Code("invalidBucket")
        /// A value of a bucket's configuration outside its range; nothing was sent.
        public static let invalidConfiguration = Code("invalidConfiguration")
        /// There is no such bucket.
        public static let bucketNotFound = Code("bucketNotFound")
        /// The bucket exists with another configuration.
        public static let bucketExists = Code("bucketExists")
        /// The stream of that name is no bucket.
        public static let notABucket = Code("notABucket")
        /// The bucket was deleted and created again, or has lost its newest revisions: revisions known before mean
        /// nothing in it.
        public static let bucketReplaced = Code("bucketReplaced")
        /// The key has a value; ``KeyValueError/revision`` is that of the value.
        public static let keyExists = Code("keyExists")
        /// The newest revision of the key is not the expected one; nothing was stored.
        public static let wrongRevision = Code("wrongRevision")
        /// The value is larger than the bucket or the server accepts; nothing was stored.
        public static let valueTooLarge = Code("valueTooLarge")
        /// The bucket, or the server's storage, has no room; nothing was stored.
        public static let bucketFull = Code("bucketFull")
        /// It is not known whether the write was stored: get the key before you write again.
        public static let uncertain = Code("uncertain")
        /// The request failed; see ``KeyValueError/underlying``. Nothing was stored.
        public static let requestFailed = Code("requestFailed")
    }

    /// What kind of failure this is.
    public let code: Code
    /// One sentence on what happened and what to do.
    public let message: String
    /// The newest revision of the key, for ``Code/keyExists`` and ``Code/wrongRevision``; `nil` when it is not known.
    public let revision: UInt64?
    /// The error that caused this one.
    public let underlying: JetStreamError?

    init(_ code: Code, _ message: String, revision: UInt64? = nil, underlying: JetStreamError? = nil) {
        self.code = code
        self.message = message.harmless
        self.revision = revision
        self.underlying = underlying
    }

    /// Whether the same call can succeed later without being changed. Never true for ``Code/uncertain``: the call may
    /// have succeeded.
    public var isRetriable: Bool { code == .requestFailed && underlying?.isRetriable ?? false }

    /// The code and the message.
    public var description: String { "\(code): \(message)" }
}

extension KeyValueError {
    /// Explains an error of a request about a bucket.
    init(_ error: JetStreamError, bucket: String) {
        let said = error.message
        switch error.errorCode {
        case .streamNotFound:
            self = .bucketNotFound(bucket, error)
        case .wrongLastSequence, .wrongLastSequenceConstant:
            self.init(
                .wrongRevision,
                "the key was changed by another client (\(said)); get it, and try again with its revision",
                // "wrong last sequence: 7"
                revision: said.split(separator: " ").last.flatMap { UInt64($0) },
                underlying: error
            )
        case .messageTooLarge:
            self.init(
                .valueTooLarge,
                "the value is larger than bucket \(bucket) accepts (its maximum value size): \(said)",
                underlying: error
            )
        case let code where code.meansFull:
            self.init(
                .bucketFull,
                "bucket \(bucket) has no room (\(said)); purge keys, or raise its maximum bytes",
                underlying: error
            )
        default:
            let isTooLarge = error.underlying?.code == .payloadTooLarge
            self.init(isTooLarge ? .valueTooLarge : .requestFailed, said, underlying: error)
        }
    }

    static func bucketNotFound(_ bucket: String, _ underlying: JetStreamError? = nil) -> KeyValueError {
        KeyValueError(
            .bucketNotFound,
            "there is no bucket \(bucket); create it first (`nats kv add`, or createKeyValue), or check the JetStream domain",
            underlying: underlying
        )
    }
}

extension JetStreamError {
    /// Whether the newest message of the subject is not the expected one.
    var isConflict: Bool { errorCode == .wrongLastSequence || errorCode == .wrongLastSequenceConstant }

    /// Whether a message may be stored although publishing it failed with this error.
    var leavesOutcomeOpen: Bool {
        switch kind {
        case .timeout, .invalidAnswer: return true
        case .api, .invalidArgument, .refused, .consumerLost: return false
        case .connection: break
        }
        switch underlying?.code {
        case .noResponders?, .bufferFull?, .payloadTooLarge?, .permissionDenied?, .invalidSubject?, .invalidHeader?:
            return false
        default: return true
        }
    }
}
