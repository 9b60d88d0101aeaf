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
        case .api: errorCode.isRetriable || (code == 503 && !errorCode.isPermanent)
        case .connection: underlying?.isRetriable ?? false || isNoResponders
        case .timeout, .consumerLost: true
        case .invalidAnswer, .invalidArgument, .refused: false
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
