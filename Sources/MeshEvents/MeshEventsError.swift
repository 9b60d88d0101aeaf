import MeshLogging

/// The only error type of MeshEvents: what happened, what to do about it, and whether a retry can help.
public struct MeshEventsError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure this is; stable, meant for `switch`.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code's name, as it appears in logs.
        public let description: String

        private init(_ description: String) { self.description = description }

        /// An event type that breaks the rules of ``EventType``; nothing was sent.
        public static let invalidEventType = Code("invalidEventType")
        /// A pattern that breaks the rules of ``EventPattern``.
        public static let invalidPattern = Code("invalidPattern")
        /// Event data that is not a JSON object or `null`, or holds a number JSON cannot express.
        public static let invalidData = Code("invalidData")
        /// A timestamp that is not RFC 3339, or outside the range of ``Timestamp``.
        public static let invalidTimestamp = Code("invalidTimestamp")
        /// A message that is not an event envelope.
        public static let malformedEvent = Code("malformedEvent")
        /// An argument outside its range.
        public static let invalidArgument = Code("invalidArgument")
        /// The encoded event exceeds what the server accepts; nothing was sent.
        public static let payloadTooLarge = Code("payloadTooLarge")
        /// The outbound buffer is full: the network is slower than the emitter, or the connection is down.
        public static let bufferFull = Code("bufferFull")
        /// A subscription whose buffer policy is to fail has overflowed.
        public static let subscriberTooSlow = Code("subscriberTooSlow")
        /// The bus, the subscription or the connection has been closed.
        public static let closed = Code("closed")
        /// The server cannot be reached.
        public static let connectionFailed = Code("connectionFailed")
        /// The server refused the credentials.
        public static let authenticationFailed = Code("authenticationFailed")
        /// The server's permissions forbid this.
        public static let permissionDenied = Code("permissionDenied")
        /// No answer before the deadline.
        public static let timeout = Code("timeout")
        /// No client is subscribed to the subject of the request.
        public static let noResponders = Code("noResponders")
        /// The server runs without JetStream, the account may not use it, or the store lacks what was asked for.
        public static let persistenceUnavailable = Code("persistenceUnavailable")
        /// The stream does not exist.
        public static let streamNotFound = Code("streamNotFound")
        /// The stream exists with another configuration.
        public static let streamMismatch = Code("streamMismatch")
        /// The stream was deleted and created again, or has lost its messages: its sequences now belong to other
        /// events.
        public static let streamReplaced = Code("streamReplaced")
        /// A durable subscription exists with other settings.
        public static let durableMismatch = Code("durableMismatch")
        /// The durable subscription does not exist, or was deleted.
        public static let durableNotFound = Code("durableNotFound")
        /// The dead letter, or the event that it is about, is neither in the stream nor in its archive.
        public static let eventNotFound = Code("eventNotFound")
        /// The stream or the server has no room for more.
        public static let storageFull = Code("storageFull")
        /// The store already has another message with the id of a message sent for the first time. That message is not
        /// stored. Another client has used the id.
        public static let duplicateMessageID = Code("duplicateMessageID")
        /// The newest message of the subject, or the key's revision, is not the expected one: another client was faster.
        /// Nothing was stored.
        public static let conflict = Code("conflict")
        /// The server refused the request for a reason of its own; see the message.
        public static let serverRefused = Code("serverRefused")
        /// The server's answer cannot be parsed.
        public static let protocolViolation = Code("protocolViolation")
    }

    /// What kind of failure this is.
    public let code: Code
    /// One sentence on what happened and what to do.
    public let message: String
    /// The error that caused this one.
    public let underlying: (any Error)?
    /// Whether the same call can succeed later without being changed.
    public let isRetriable: Bool

    /// Creates an error. Characters of the message that could harm a terminal or a log are escaped.
    public init(_ code: Code, _ message: String, underlying: (any Error)? = nil, isRetriable: Bool = false) {
        self.code = code
        self.message = message.harmless
        self.underlying = underlying
        self.isRetriable = isRetriable
    }

    /// The code and the message; the underlying error when there is one.
    public var description: String {
        guard let underlying else { return "\(code): \(message)" }
        return "\(code): \(message) (\(underlying))"
    }
}

extension MeshEventsError {
    /// The error for a message sent for the first time whose id another stored message has.
    ///
    /// - Parameters:
    ///   - position: where the other message is stored.
    ///   - what: the message that is not stored, e.g. `the event user.x`.
    package static func duplicateMessageID(_ position: StoredPosition, _ what: String) -> MeshEventsError {
        MeshEventsError(
            .duplicateMessageID,
            "\(what) is not stored: the stream \(position.stream) has another message with its message id, at sequence "
                + "\(position.sequence); another client has used the id, or a component on the way sends messages "
                + "twice. Find the cause; emitting again uses a new id"
        )
    }
}
