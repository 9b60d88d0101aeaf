import MeshLogging

/// The one error type of the client: what happened, what to do about it, and whether trying again can help.
public struct NATSError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure this is; stable, meant for `switch`.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code's name, as it appears in logs.
        public let description: String

        init(_ description: String) { self.description = description }

        /// A server address that cannot be read.
        public static let invalidAddress = Code("invalidAddress")
        /// A subject, queue group or header that breaks the protocol's rules; nothing was sent.
        public static let invalidSubject = Code("invalidSubject")
        /// A header name or value that breaks the protocol's rules; nothing was sent.
        public static let invalidHeader = Code("invalidHeader")
        /// An argument outside its range.
        public static let invalidArgument = Code("invalidArgument")
        /// No server could be reached, or the connection was lost before the answer came.
        public static let connectionFailed = Code("connectionFailed")
        /// The connection was lost while messages were under way: some of them may not have arrived.
        public static let messagesUnconfirmed = Code("messagesUnconfirmed")
        /// The TLS handshake failed: wrong CA, missing client certificate, or the server does not speak TLS.
        public static let tlsFailed = Code("tlsFailed")
        /// The server refused the credentials, or they cannot be read.
        public static let authenticationFailed = Code("authenticationFailed")
        /// The server's permissions forbid this subject.
        public static let permissionDenied = Code("permissionDenied")
        /// The message exceeds what the server accepts; nothing was sent.
        public static let payloadTooLarge = Code("payloadTooLarge")
        /// The outbound buffer is full; nothing was sent. Retry after ``NATSConnection/waitUntilWritable()``.
        public static let bufferFull = Code("bufferFull")
        /// The subscription's buffer overflowed and its policy is to fail.
        public static let slowConsumer = Code("slowConsumer")
        /// No answer before the deadline.
        public static let timeout = Code("timeout")
        /// No client is subscribed to the subject of the request.
        public static let noResponders = Code("noResponders")
        /// The server sent something that is not the NATS protocol.
        public static let protocolViolation = Code("protocolViolation")
        /// An error that the server reported (`-ERR`).
        public static let serverError = Code("serverError")
        /// The task was cancelled.
        public static let cancelled = Code("cancelled")
        /// The connection or the subscription has been closed.
        public static let closed = Code("closed")
    }

    /// What kind of failure this is.
    public let code: Code
    /// One sentence on what happened and what to do.
    public let message: String
    /// The error that caused this one.
    public let underlying: (any Error)?
    /// Whether the same call can succeed later without being changed.
    public let isRetriable: Bool
    /// The subject that the server forbids, for ``Code/permissionDenied``; `nil` for any other error.
    public let subject: String?

    /// Creates an error; characters of the message that could harm a terminal or a log become escapes.
    public init(
        _ code: Code,
        _ message: String,
        underlying: (any Error)? = nil,
        isRetriable: Bool = false,
        subject: String? = nil
    ) {
        self.code = code
        self.message = message.harmless
        self.underlying = underlying
        self.isRetriable = isRetriable
        self.subject = subject
    }

    /// The code and the message; the underlying error when there is one.
    public var description: String {
        guard let underlying else { return "\(code): \(message)" }
        return "\(code): \(message) (\(underlying))"
    }

    static let closed = NATSError(.closed, "the connection is closed; open a new one")
}
