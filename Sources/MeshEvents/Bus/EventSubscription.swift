/// Events as they arrive, in the order of each emitter: `for try await event in subscription`.
///
/// The sequence ends after ``cancel()``, a drain, `EventBus.close()` or the cancellation of the task that reads it. It
/// throws when the transport has ended for another reason, and `subscriberTooSlow` when the buffer overflows under
/// ``BufferConfiguration/Policy/fail``. Several iterators share the events: each event goes to one of them. What an
/// iterator leaves unread goes to the next. Releasing the last reference cancels the subscription.
public final class EventSubscription: AsyncSequence, Sendable {
    /// An event.
    public typealias Element = Event
    /// The only error it throws.
    public typealias Failure = MeshEventsError

    let channel: SubscriptionChannel

    init(channel: SubscriptionChannel) {
        self.channel = channel
    }

    deinit {
        channel.cancel()
    }

    /// How many events have arrived, those in ``dropped`` included.
    public var received: UInt64 { channel.received }
    /// How many events were lost because the subscriber was slower than the mesh; see ``BufferConfiguration``.
    public var dropped: UInt64 { channel.dropped }
    /// How many messages arrived that were not events and were skipped.
    public var malformed: UInt64 { channel.malformed }
    /// How many events were not delivered because their signature is not valid; see ``SignatureVerification``.
    public var rejected: UInt64 { channel.rejected }

    /// Ends the subscription at once; events that wait are thrown away. Harmless when repeated.
    public func cancel() {
        channel.cancel()
    }

    /// Ends the subscription gently: when this returns, everything emitted before it was called and processed by the
    /// server has arrived and waits to be read; then the sequence ends.
    ///
    /// - Throws: `timeout`, `closed`.
    public func drain(timeout: Duration = .seconds(10)) async throws(MeshEventsError) {
        try await channel.drain(timeout: timeout)
    }

    /// An iterator over the events to come.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(self)
    }

    /// Takes a batch of events per wake-up and returns them one by one, without leaving the caller's actor.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private let reader: Reader

        fileprivate init(_ subscription: EventSubscription) {
            reader = Reader(subscription)
        }

        /// Whether the next event has arrived already, so that ``next()`` does not wait.
        package var hasNext: Bool { !reader.chunk.isEmpty }

        /// The next event; `nil` at the end.
        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(MeshEventsError) -> Event? {
            while true {
                if reader.isStopped { return nil }
                if let event = reader.chunk.popFirst() { return event }
                var used = EventChunk()
                swap(&used, &reader.chunk)
                switch await reader.subscription.channel.next(recycling: &used, isolation: actor) {
                case .chunk(let chunk): reader.chunk = chunk
                case .end: return nil
                case .failure(let error): throw error
                }
            }
        }

        /// The next event; `nil` at the end.
        public mutating func next() async throws(MeshEventsError) -> Event? {
            try await next(isolation: #isolation)
        }
    }

    /// An iterator's batch; its unread events go back to the subscription when the iterator is released.
    private final class Reader {
        let subscription: EventSubscription
        // One task uses an iterator at a time, and no access to the chunk calls other code.
        @exclusivity(unchecked) var chunk = EventChunk()

        init(_ subscription: EventSubscription) {
            self.subscription = subscription
        }

        deinit {
            subscription.channel.putBack(chunk)
        }

        var isStopped: Bool { subscription.channel.isCancelled || Task.isCancelled }
    }
}
