/// A stream store with JetStream's rules: sequences from 1 that never repeat, duplicate detection by message id, limits
/// that drop the oldest messages.
public protocol EventStore: Sendable {
    /// Creates the stream, or opens the existing one; see ``StoreOpening`` and
    /// ``PersistentEventBus/Configuration/Reconciliation``.
    func open(_ configuration: PersistentEventBus.Configuration) async throws(MeshEventsError) -> StoreOpening

    /// Stores one message; returns once the store has acknowledged it.
    ///
    /// - Parameters:
    ///   - message: the message, stored once, however often it is sent within the stream's duplicate window.
    ///   - deadline: how long to retry, with the same message id.
    /// - Throws: `duplicateMessageID` when the store had the id before the first attempt and
    ///   ``PendingMessage/mayBeStored`` is `false`: the id then belongs to another message, and this one is not stored.
    func append(_ message: PendingMessage, deadline: Duration) async throws(MeshEventsError) -> StoredPosition

    /// Stores many messages in order; see ``EventAppender``.
    ///
    /// - Parameters:
    ///   - window: how many messages may be unacknowledged at once, from 1.
    ///   - deadline: how long to retry each message, with the same id.
    ///   - onStored: called when messages are stored, mostly in order, with the index of the first, from 0, and the
    ///     positions of it and those after it; it must be quick.
    func makeAppender(
        window: Int,
        deadline: Duration,
        onStored: @escaping @Sendable (_ first: Int, _ positions: [StoredPosition]) -> Void
    ) -> any EventAppender

    /// The state of the stream.
    func state() async throws(MeshEventsError) -> StreamState

    /// A report on the stream: its messages by subject, and its consumers with their positions.
    func report() async throws(MeshEventsError) -> StreamReport

    /// Deletes the messages that match, and returns how many; their sequences are not used again.
    func purge(matching pattern: EventPattern) async throws(MeshEventsError) -> UInt64

    /// The newest `limit` messages that match and lie below `before`, oldest first.
    func newest(
        _ limit: Int,
        matching pattern: EventPattern,
        before: UInt64?,
        timeout: Duration
    ) async throws(MeshEventsError) -> [StoredMessage]

    /// A part of the newest messages that match and lie below `before`, oldest first: readers with bounded memory read
    /// in parts.
    ///
    /// - Parameters:
    ///   - limit: how many messages at most.
    ///   - maximumBytes: about how many bytes to read; the part has at least one message when there is one.
    ///   - pattern: which messages.
    ///   - before: only messages below this sequence; `nil` for no bound.
    ///   - timeout: how long the connection may move no bytes while there is something to read.
    func newest(
        _ limit: Int,
        maximumBytes: Int,
        matching pattern: EventPattern,
        before: UInt64?,
        timeout: Duration
    ) async throws(MeshEventsError) -> StoredPart

    /// The first `limit` messages that match, from `start` on, oldest first.
    func first(
        _ limit: Int,
        matching pattern: EventPattern,
        from start: StoredPart.Start,
        timeout: Duration
    ) async throws(MeshEventsError) -> [StoredMessage]

    /// A part of the first messages that match, from `start` on, oldest first: readers with bounded memory read in
    /// parts.
    ///
    /// - Parameters:
    ///   - limit: how many messages at most.
    ///   - maximumBytes: the part ends soon after this many bytes; it has at least one message when there is one.
    ///   - pattern: which messages.
    ///   - start: where to begin.
    ///   - timeout: how long the connection may move no bytes while there is something to read.
    func first(
        _ limit: Int,
        maximumBytes: Int,
        matching pattern: EventPattern,
        from start: StoredPart.Start,
        timeout: Duration
    ) async throws(MeshEventsError) -> StoredPart

    /// How many bytes were received and sent so far. While it grows, a slow store is still working. 0 when the store
    /// cannot tell.
    var movedBytes: UInt64 { get }

    /// Follows the stream: the messages stored from `start` on, then the new ones; see ``StoreFollower``.
    ///
    /// - Parameters:
    ///   - pattern: the subjects to follow.
    ///   - start: where to begin.
    ///   - timeout: how long starting may take.
    func follow(
        matching pattern: EventPattern,
        from start: StreamStart,
        timeout: Duration
    ) async throws(MeshEventsError) -> any StoreFollower

    /// Creates a durable subscription, or opens the existing one of that name.
    ///
    /// - Throws: `durableMismatch` when it exists with other settings and `reconcile` is `.fail`; `streamNotFound`,
    ///   `invalidArgument`, `invalidPattern`.
    func openDurable(
        _ configuration: DurableDefinition,
        reconcile: DurableSubscription.Configuration.Reconciliation
    ) async throws(MeshEventsError) -> any DurableConsumer

    /// Deletes a durable subscription and its position.
    ///
    /// - Throws: `durableNotFound`, `streamNotFound`.
    func deleteDurable(_ name: String) async throws(MeshEventsError)
}

/// Where a replay begins, and a durable subscription when it is created.
public enum StreamStart: Sendable, Hashable {
    /// With the oldest event that the stream still has.
    case beginning
    /// With the first event that is stored from now on.
    case new
    /// At this sequence; 0 means 1. When the stream no longer has it, a replay begins with a gap, and a durable at the
    /// first one after it that exists. One past the stream's last sequence is the next event to come; a replay from
    /// beyond that is `invalidArgument`.
    case sequence(UInt64)
    /// At the first event stored at this time or later; a replay from a time in the future is `invalidArgument`.
    case time(Timestamp)
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

    /// Creates a part.
    public init(messages: [StoredMessage] = [], isCutShort: Bool = false, created: Timestamp? = nil) {
        self.messages = messages
        self.isCutShort = isCutShort
        self.created = created
    }
}

extension EventStore {
    /// Reads all messages in one part, for a store that holds them in memory anyway.
    public func first(
        _ limit: Int,
        maximumBytes: Int,
        matching pattern: EventPattern,
        from start: StoredPart.Start,
        timeout: Duration
    ) async throws(MeshEventsError) -> StoredPart {
        let created = try await state().created
        let messages = try await first(limit, matching: pattern, from: start, timeout: timeout)
        return StoredPart(messages: messages, created: created)
    }

    /// Reads all messages in one part, for a store that holds them in memory anyway.
    public func newest(
        _ limit: Int,
        maximumBytes: Int,
        matching pattern: EventPattern,
        before: UInt64?,
        timeout: Duration
    ) async throws(MeshEventsError) -> StoredPart {
        let created = try await state().created
        let messages = try await newest(limit, matching: pattern, before: before, timeout: timeout)
        return StoredPart(messages: messages, created: created)
    }

    /// Always 0: the store cannot tell.
    public var movedBytes: UInt64 { 0 }
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

extension EventStore {
    /// Stores one message without headers; see ``append(_:deadline:)``.
    ///
    /// - Throws: as ``append(_:deadline:)``.
    public func append(
        subject: String,
        payload: [UInt8],
        messageID: String,
        mayBeStored: Bool = false,
        deadline: Duration
    ) async throws(MeshEventsError) -> StoredPosition {
        try await append(
            PendingMessage(subject: subject, payload: payload, messageID: messageID, mayBeStored: mayBeStored),
            deadline: deadline
        )
    }
}

/// What a stream holds.
public struct StreamState: Sendable, Hashable {
    /// The stream's name.
    public let name: String
    /// How many messages it holds.
    public let messages: UInt64
    /// Their size, in bytes, as the store counts it.
    public let bytes: UInt64
    /// The oldest sequence it still holds; one past ``lastSequence`` when it is empty.
    public let firstSequence: UInt64
    /// The newest sequence it has ever assigned; 0 when nothing was stored yet.
    public let lastSequence: UInt64
    /// When the stream was created. A sequence identifies an event only together with it, since a stream that is
    /// deleted and created again counts from 1. `nil` when the store cannot tell.
    public let created: Timestamp?

    /// Creates a state.
    public init(
        name: String,
        messages: UInt64,
        bytes: UInt64,
        firstSequence: UInt64,
        lastSequence: UInt64,
        created: Timestamp? = nil
    ) {
        self.name = name
        self.messages = messages
        self.bytes = bytes
        self.firstSequence = firstSequence
        self.lastSequence = lastSequence
        self.created = created
    }
}

/// The result of opening a stream.
public struct StoreOpening: Sendable, Hashable {
    /// Whether the stream was created by this call.
    public let created: Bool
    /// Where an existing stream differs from the configuration asked for: field, asked, found.
    public let differences: [Difference]

    /// One field of an existing stream that differs.
    public struct Difference: Sendable, Hashable, CustomStringConvertible {
        /// The field's name in the stream's configuration, e.g. `max_msgs`.
        public let field: String
        /// The value asked for, as JSON text.
        public let asked: String
        /// The value found, as JSON text.
        public let found: String

        /// Creates a difference.
        public init(field: String, asked: String, found: String) {
            self.field = field
            self.asked = asked
            self.found = found
        }

        /// `field: asked X, found Y`.
        public var description: String { "\(field): asked \(asked), found \(found)" }
    }

    /// Creates the outcome of an opening.
    public init(created: Bool, differences: [Difference]) {
        self.created = created
        self.differences = differences
    }
}

extension StoreOpening {
    /// Throws `streamMismatch` when the stream differs and the configuration does not accept that.
    package func check(_ configuration: PersistentEventBus.Configuration) throws(MeshEventsError) {
        guard !differences.isEmpty, configuration.reconcile != .keep else { return }
        let advice = configuration.reconcile == .fail ? "ask for .keep or .update" : "this cannot be changed"
        throw MeshEventsError(
            .streamMismatch,
            "the stream \(configuration.streamName) exists with another configuration; \(advice): "
                + differences.map { "\($0)" }.joined(separator: "; ")
        )
    }
}
