import MeshConcurrency

/// Stores many messages in the order they are given, with many unacknowledged at once; made by
/// ``EventStore/makeAppender(window:deadline:onStored:)``.
///
/// Only one task uses it. It calls ``append(_:)`` for each message and ``finish()`` at the end.
public protocol EventAppender: Sendable {
    /// Takes the next message; suspends while the window is full or an earlier message is being sent again.
    ///
    /// - Throws: the final error of an earlier message; then this message was not sent. `closed` when the task is
    ///   cancelled.
    func append(_ message: PendingMessage) async throws(MeshEventsError)

    /// Returns when every message is stored.
    ///
    /// - Throws: the final error of a message.
    func finish() async throws(MeshEventsError)
}

/// A message on its way into a store.
public struct PendingMessage: Sendable {
    /// The full subject.
    public let subject: String
    /// The encoded event.
    public let payload: [UInt8]
    /// The message id: the store keeps one message per id within the stream's duplicate window, however often it is
    /// sent.
    public let messageID: String
    /// Further header fields, already validated.
    public let headers: MessageHeaders
    /// Whether the store may have this message already, because it was sent before or because its id is made from its
    /// content. When `false`, the default, a store that knows the id at the first attempt has *another* message: this
    /// one is refused with `duplicateMessageID`.
    public var mayBeStored: Bool
    /// The sequence that the newest message of the subject must have, 0 when there must be none. Otherwise this one is
    /// refused with `conflict`. `nil`, the default, for no condition. An ``EventAppender`` ignores it.
    public var expectedLastSequence: UInt64?

    /// Creates a message.
    public init(
        subject: String,
        payload: [UInt8],
        messageID: String,
        headers: MessageHeaders = MessageHeaders(),
        mayBeStored: Bool = false,
        expectedLastSequence: UInt64? = nil
    ) {
        self.subject = subject
        self.payload = payload
        self.messageID = messageID
        self.headers = headers
        self.mayBeStored = mayBeStored
        self.expectedLastSequence = expectedLastSequence
    }
}

extension EventStore {
    /// Makes an appender that stores one message at a time: it works with every store, but slowly.
    public func makeAppender(
        window: Int,
        deadline: Duration,
        onStored: @escaping @Sendable (_ first: Int, _ positions: [StoredPosition]) -> Void
    ) -> any EventAppender {
        SequentialAppender(store: self, deadline: deadline, onStored: onStored)
    }
}

private final class SequentialAppender: EventAppender {
    private let store: any EventStore
    private let deadline: Duration
    private let onStored: @Sendable (Int, [StoredPosition]) -> Void
    private let state = Locked<(next: Int, failure: MeshEventsError?)>((0, nil))

    init(
        store: any EventStore,
        deadline: Duration,
        onStored: @escaping @Sendable (Int, [StoredPosition]) -> Void
    ) {
        self.store = store
        self.deadline = deadline
        self.onStored = onStored
    }

    func append(_ message: PendingMessage) async throws(MeshEventsError) {
        try await finish()
        do throws(MeshEventsError) {
            let position = try await store.append(message, deadline: deadline)
            let index = state.withLock { state in
                defer { state.next += 1 }
                return state.next
            }
            onStored(index, [position])
        } catch {
            state.withLock { $0.failure = error }
            throw error
        }
    }

    func finish() async throws(MeshEventsError) {
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }
}
