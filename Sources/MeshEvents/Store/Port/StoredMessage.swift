/// A message in the store.
public struct StoredMessage: Sendable, Hashable {
    /// The full subject.
    public let subject: String
    /// The payload as it was sent.
    public let payload: [UInt8]
    /// The sequence in the stream, from 1.
    public let sequence: UInt64
    /// When the store stored it.
    public let storedAt: Timestamp
    /// The header fields it was sent with.
    public let headers: MessageHeaders

    /// Creates a stored message.
    public init(
        subject: String,
        payload: [UInt8],
        sequence: UInt64,
        storedAt: Timestamp,
        headers: MessageHeaders = MessageHeaders()
    ) {
        self.subject = subject
        self.payload = payload
        self.sequence = sequence
        self.storedAt = storedAt
        self.headers = headers
    }
}

/// A part of a store's messages.
public struct StoredPart: Sendable, Hashable {
    /// Where reading a part begins. Unlike a ``StreamStart`` it is a place among the stored messages: sequence 1 is the
    /// beginning, and no stored message is new.
    public enum Start: Sendable, Hashable {
        /// At this sequence, or the first one after it that exists.
        case sequence(UInt64)
        /// At the first message stored at this time or later.
        case time(Timestamp)
    }

    /// The messages, oldest first.
    public var messages: [StoredMessage]
    /// Whether more messages may follow in the direction of reading, although the part has fewer than the limit.
    public var isCutShort: Bool
    /// When the stream was created, as known when reading began; `nil` when the store cannot tell. The messages are
    /// known to be from that stream once a later part, or ``EventStore/state()``, has the same time.
    public var created: Timestamp?
    /// The first sequence that the stream had when reading began; `nil` when the store does not tell.
    public var firstSequence: UInt64?

    /// Creates a part.
    public init(
        messages: [StoredMessage] = [],
        isCutShort: Bool = false,
        created: Timestamp? = nil,
        firstSequence: UInt64? = nil
    ) {
        self.messages = messages
        self.isCutShort = isCutShort
        self.created = created
        self.firstSequence = firstSequence
    }
}

/// Where an event is stored: the store's acknowledgement.
public struct StoredPosition: Sendable, Hashable {
    /// The stream's name.
    public let stream: String
    /// The sequence in the stream, from 1.
    public let sequence: UInt64
    /// Whether the store had this message id already: it is stored once, at ``sequence``.
    public let isDuplicate: Bool

    /// Creates a position.
    public init(stream: String, sequence: UInt64, isDuplicate: Bool) {
        self.stream = stream
        self.sequence = sequence
        self.isDuplicate = isDuplicate
    }
}
