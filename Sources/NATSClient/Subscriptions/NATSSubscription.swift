import MeshConcurrency
import NIOCore

/// The messages of a subscription as a sequence: `for try await message in subscription`.
///
/// Messages that the reader has not taken yet wait in a buffer of bounded size; those that do not fit are dropped and
/// counted. The sequence ends after ``cancel()`` or a drain, and throws when the connection ends or the server refuses
/// the subject. Releasing the last reference cancels the subscription.
public final class NATSSubscription: AsyncSequence, Sendable {
    /// A message.
    public typealias Element = NATSMessage
    /// The only error it throws.
    public typealias Failure = NATSError

    private let handle: NATSSubscriptionHandle
    private let buffer: MessageBuffer

    init(handle: NATSSubscriptionHandle, buffer: MessageBuffer) {
        self.handle = handle
        self.buffer = buffer
    }

    deinit { handle.cancel() }

    /// How many messages were dropped because the reader was slower than the server.
    public var dropped: Int { buffer.dropped }

    /// Ends the subscription at once; messages that wait can still be read.
    public func cancel() { handle.cancel() }

    /// Ends the subscription by itself once `count` messages in all have been delivered, over reconnects too.
    public func unsubscribe(after count: UInt64) { handle.unsubscribe(after: count) }

    /// Ends the subscription after the messages that the server has sent already; messages that wait can still be read.
    ///
    /// - Throws: `timeout`.
    public func drain(timeout: Duration = .seconds(10)) async throws(NATSError) {
        try await handle.drain(timeout: timeout)
    }

    /// Makes an iterator; several iterators share the messages.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(subscription: self) }

    /// Takes all waiting messages at once, and then returns them without leaving the caller's actor.
    public struct AsyncIterator: AsyncIteratorProtocol {
        // Holds the subscription, which would otherwise cancel itself.
        private let subscription: NATSSubscription
        private var batch: ArraySlice<NATSMessage> = []

        fileprivate init(subscription: NATSSubscription) { self.subscription = subscription }

        /// The next message; `nil` at the end or when the task is cancelled.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws(NATSError) -> NATSMessage? {
            if let message = batch.popFirst() { return message }
            batch = try await subscription.buffer.takeAll(isolation: actor)[...]
            return batch.popFirst()
        }

        /// The next message; `nil` at the end or when the task is cancelled.
        public mutating func next() async throws(NATSError) -> NATSMessage? {
            try await next(isolation: #isolation)
        }
    }
}

/// Controls a subscription whose messages go to a ``NATSMessageReceiver``. It lives until it is cancelled or drained,
/// or the connection ends; releasing the handle changes nothing.
public final class NATSSubscriptionHandle: Sendable {
    /// The subject it was made with.
    public let subject: String
    private let sid: UInt64
    private let loop: ConnectionLoop

    init(subject: String, sid: UInt64, loop: ConnectionLoop) {
        self.subject = subject
        self.sid = sid
        self.loop = loop
    }

    /// Ends the subscription at once: no message is delivered after the receiver's `receiveEnd`. May be repeated.
    public func cancel() {
        loop.cancelSubscription(sid)
    }

    /// Ends the subscription by itself once `count` messages in all have been delivered, over reconnects too.
    public func unsubscribe(after count: UInt64) {
        loop.limitSubscription(sid, to: count)
    }

    /// Tells the server to send no more, receives what it has sent already, then ends.
    ///
    /// - Throws: `timeout` when the server does not answer in time (the subscription has ended all the same).
    public func drain(timeout: Duration = .seconds(10)) async throws(NATSError) {
        try await loop.drainSubscription(sid, timeout: timeout)
    }
}

/// Collects the messages of one subscription for a reader: one lock per batch on either side.
final class MessageBuffer: NATSMessageReceiver {
    private struct State: AwaitableState {
        var waiting: [NATSMessage] = []
        var bytes = 0
        var dropped = 0
        var isEnded = false
        var failure: NATSError?

        mutating func takeAnswer() -> Result<[NATSMessage], NATSError>? {
            if !waiting.isEmpty {
                defer {
                    waiting = []
                    bytes = 0
                }
                return .success(waiting)
            }
            guard isEnded else { return nil }
            defer { failure = nil }
            return failure.map(Result.failure) ?? .success([])
        }
    }

    private let maximumMessages: Int
    private let maximumBytes: Int
    private let onOverflow: @Sendable () -> Void
    private let state = Awaitable(State())
    /// Filled and emptied on the event loop only.
    private nonisolated(unsafe) var batch: [NATSMessage] = []

    init(maximumMessages: Int, maximumBytes: Int, onOverflow: @escaping @Sendable () -> Void) {
        self.maximumMessages = maximumMessages
        self.maximumBytes = maximumBytes
        self.onOverflow = onOverflow
    }

    var dropped: Int { state.withLock { $0.dropped } }

    func receive(_ message: NATSMessageView) { batch.append(message.copied()) }

    func receiveBatchEnd() {
        let messages = batch
        batch.removeAll(keepingCapacity: true)
        let overflowed = state.update { state in
            let droppedBefore = state.dropped
            for message in messages {
                let size = message.memory
                guard state.waiting.count < maximumMessages, state.bytes + size <= maximumBytes else {
                    state.dropped += 1
                    continue
                }
                state.waiting.append(message)
                state.bytes += size
            }
            return state.dropped > droppedBefore
        }
        if overflowed { onOverflow() }
    }

    func receiveEnd(_ error: NATSError?) {
        state.update { state in
            state.isEnded = true
            state.failure = error
        }
    }

    /// Takes all messages that wait, and suspends while there are none; empty at the end or when the task is cancelled.
    func takeAll(isolation: isolated (any Actor)?) async throws(NATSError) -> [NATSMessage] {
        guard let answer = await state.next(isolation: isolation) else { return [] }
        return try answer.get()
    }
}
