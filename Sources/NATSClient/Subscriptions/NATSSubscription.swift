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
