/// The messages of one stream, with JetStream's rules: sequences from 1 that never repeat, duplicate detection by message
/// id, limits that drop the oldest messages.
///
/// This is all that reading, replaying and emitting need. A store that keeps durable subscriptions is a
/// ``DurableEventStore`` too, and a store that creates and changes its stream is ``StreamAdministration``.
public protocol EventStore: Sendable {
    /// Stores one message; returns once the store has acknowledged it.
    ///
    /// - Parameters:
    ///   - message: the message, stored once, however often it is sent within the stream's duplicate window.
    ///   - deadline: how long to retry, with the same message id.
    /// - Throws: `duplicateMessageID` when the store had the id before the first attempt and
    ///   ``PendingMessage/mayBeStored`` is `false`: the id then belongs to another message, and this one is not stored.
    ///   `conflict` when the subject's newest message is not ``PendingMessage/expectedLastSequence``.
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

    /// A part of the newest messages that match and lie below `before`, oldest first: readers with bounded memory read
    /// in parts.
    ///
    /// - Parameters:
    ///   - limit: how many messages at most.
    ///   - maximumBytes: about how many bytes to read; the part has at least one message when there is one. A store that has
    ///     the messages in memory anyway may return more.
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

    /// A part of the first messages that match, from `start` on, oldest first: readers with bounded memory read in
    /// parts.
    ///
    /// - Parameters:
    ///   - limit: how many messages at most.
    ///   - maximumBytes: the part ends soon after this many bytes; it has at least one message when there is one. A store
    ///     that has the messages in memory anyway may return more.
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

    /// The message with this sequence; `nil` when the stream has none. One small request, where the store can do that.
    ///
    /// - Parameters:
    ///   - sequence: its sequence, from 1.
    ///   - timeout: how long the store may take.
    func message(_ sequence: UInt64, timeout: Duration) async throws(MeshEventsError) -> StoredMessage?

    /// The newest message to this subject; `nil` when there is none. One small request, where the store can do that.
    ///
    /// - Parameters:
    ///   - subject: a full subject, without wildcards.
    ///   - timeout: how long the store may take.
    func newestMessage(on subject: String, timeout: Duration) async throws(MeshEventsError) -> StoredMessage?

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

    /// The state of the stream.
    func state() async throws(MeshEventsError) -> StreamState

    /// How many bytes were received and sent so far. While it grows, a slow store is still working. 0 when the store
    /// cannot tell.
    var movedBytes: UInt64 { get }
}

extension EventStore {
    /// Always 0: the store cannot tell.
    public var movedBytes: UInt64 { 0 }

    /// Reads the message as the first one from its sequence on.
    public func message(_ sequence: UInt64, timeout: Duration) async throws(MeshEventsError) -> StoredMessage? {
        let found = try await first(1, matching: .all, from: .sequence(sequence), timeout: timeout).first
        return found?.sequence == sequence ? found : nil
    }

    /// Reads the newest message that matches the subject.
    public func newestMessage(on subject: String, timeout: Duration) async throws(MeshEventsError) -> StoredMessage? {
        try await newest(1, matching: EventPattern(subject: subject), before: nil, timeout: timeout).first
    }

    /// The newest `limit` messages that match and lie below `before`, oldest first.
    ///
    /// - Throws: as ``newest(_:maximumBytes:matching:before:timeout:)``.
    public func newest(
        _ limit: Int,
        matching pattern: EventPattern,
        before: UInt64?,
        timeout: Duration
    ) async throws(MeshEventsError) -> [StoredMessage] {
        try await newest(limit, maximumBytes: .max, matching: pattern, before: before, timeout: timeout).messages
    }

    /// The first `limit` messages that match, from `start` on, oldest first.
    ///
    /// - Throws: as ``first(_:maximumBytes:matching:from:timeout:)``.
    public func first(
        _ limit: Int,
        matching pattern: EventPattern,
        from start: StoredPart.Start,
        timeout: Duration
    ) async throws(MeshEventsError) -> [StoredMessage] {
        try await first(limit, maximumBytes: .max, matching: pattern, from: start, timeout: timeout).messages
    }

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
