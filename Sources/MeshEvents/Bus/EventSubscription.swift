import Logging
import MeshConcurrency
import MeshLogging
import Synchronization

/// Events as they arrive, in the order of each emitter: `for try await event in subscription`.
///
/// The sequence ends after ``cancel()``, a drain, `EventBus.close()` or the cancellation of the task that reads it. It
/// throws when the transport has ended for another reason, and `subscriberTooSlow` when the buffer overflows under
/// ``Buffer/Policy/fail``. Several iterators share the events: each event goes to one of them. What an
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
    /// How many events were lost because the subscriber was slower than the mesh; see ``EventSubscription/Buffer``.
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

/// The shared state of one subscription: the buffer behind a lock, the waiting consumers, the transport's subscription.
final class SubscriptionChannel: MetricSource {
    private enum Attachment {
        case none
        case attached(any TransportSubscription)
        case ended
    }

    private let buffer: Awaitable<SubscriptionBuffer>
    private let attachment = Locked(Attachment.none)
    private let cancelled = Atomic(false)
    private let malformedCount = Atomic<UInt64>(0)
    private let rejectedCount = Atomic<UInt64>(0)
    private let handlerErrorCount = Atomic<UInt64>(0)
    private let pattern: String
    private let metrics: BusMetrics?
    private let onEnd: Locked<(@Sendable (SubscriptionChannel) -> Void)?>

    /// Creates a channel; `onEnd` is called once, and released, when the channel is cancelled or ends by itself.
    init(
        _ configuration: EventSubscription.Buffer,
        pattern: String = "",
        metrics: BusMetrics? = nil,
        onEnd: @escaping @Sendable (SubscriptionChannel) -> Void
    ) {
        buffer = Awaitable(SubscriptionBuffer(configuration))
        self.pattern = pattern
        self.metrics = metrics
        self.onEnd = Locked(onEnd)
    }

    deinit {
        guard let metrics else { return }
        var readings = MetricReadings()
        read(into: &readings)
        metrics.ended(readings)
    }

    var isCancelled: Bool { cancelled.load(ordering: .acquiring) }
    var received: UInt64 { buffer.withLock { $0.received } }
    var dropped: UInt64 { buffer.withLock { $0.dropped } }
    var malformed: UInt64 { malformedCount.load(ordering: .relaxed) }

    var rejected: UInt64 { rejectedCount.load(ordering: .relaxed) }
    var handlerErrors: UInt64 { handlerErrorCount.load(ordering: .relaxed) }

    func countMalformed() {
        malformedCount.add(1, ordering: .relaxed)
    }

    func countRejected() {
        rejectedCount.add(1, ordering: .relaxed)
    }

    func countHandlerError() {
        handlerErrorCount.add(1, ordering: .relaxed)
    }

    func read(into readings: inout MetricReadings) {
        let (received, dropped, events, bytes, isActive) = buffer.withLock { buffer in
            (buffer.received, buffer.dropped, buffer.count, buffer.bytes, !buffer.isFinished)
        }
        readings.add(.received, received, label: pattern)
        readings.add(.dropped, dropped, label: pattern)
        readings.add(.malformed, malformed, label: pattern)
        readings.add(.rejected, rejected, label: pattern)
        readings.add(.handlerErrors, handlerErrors, label: pattern)
        readings.add(.bufferedEvents, UInt64(events), label: pattern)
        readings.add(.bufferedBytes, UInt64(bytes), label: pattern)
        readings.add(.subscriptions, isActive ? 1 : 0, label: pattern)
    }

    // MARK: From the transport

    /// Hands the received events to the buffer: takes one lock and resumes one consumer at most (more only when several
    /// wait).
    func offer(_ chunk: inout EventChunk) {
        let overflowed = buffer.update { buffer in
            let wasFinished = buffer.isFinished
            buffer.offer(&chunk)
            return buffer.isFinished && !wasFinished
        }
        if overflowed { detach() }
    }

    /// Ends the input; the subscriber still gets the waiting events.
    func finish(_ error: MeshEventsError?) {
        buffer.update { $0.finish(error) }
        attachment.withLock { $0 = .ended }
        tellEnd()
    }

    // MARK: From the subscriber

    /// Stores the transport's subscription; cancels it when the channel has ended meanwhile.
    func attach(_ subscription: any TransportSubscription) {
        let isLate = attachment.withLock { attachment in
            guard case .none = attachment else { return true }
            attachment = .attached(subscription)
            return false
        }
        if isLate { subscription.cancel() }
    }

    /// Ends at once: no more events are delivered, waiting consumers get the end.
    func cancel() {
        guard cancelled.exchange(true, ordering: .acquiringAndReleasing) == false else { return }
        buffer.update { $0.cancel() }
        detach()
    }

    /// Waits until the messages sent before have arrived, then ends the input. When that fails, at the deadline for
    /// one, ends the input with the events that have arrived, and throws.
    func drain(timeout: Duration) async throws(MeshEventsError) {
        let subscription = attachment.withLock { attachment -> (any TransportSubscription)? in
            guard case .attached(let subscription) = attachment else { return nil }
            return subscription
        }
        do {
            try await subscription?.drain(timeout: timeout)
        } catch {
            finish(nil)
            subscription?.cancel()
            throw error
        }
        finish(nil)
    }

    /// The next chunk, or the end. Ends when the calling task is cancelled.
    ///
    /// Never leaves the caller's actor, and does not suspend when a chunk is ready.
    func next(
        recycling used: inout EventChunk,
        isolation: isolated (any Actor)? = #isolation
    ) async -> SubscriptionDelivery {
        if let delivery = buffer.withLock({ $0.take(recycling: &used) }) { return delivery }
        return await buffer.wait(isolation: isolation) ?? .end
    }

    /// Takes back the events that a consumer leaves unread.
    func putBack(_ chunk: EventChunk) {
        guard !chunk.isEmpty else { return }
        buffer.update { $0.putBack(chunk, isCancelled: isCancelled) }
    }

    // MARK: Inside

    private func detach() {
        let subscription = attachment.withLock { attachment -> (any TransportSubscription)? in
            defer { attachment = .ended }
            guard case .attached(let subscription) = attachment else { return nil }
            return subscription
        }
        subscription?.cancel()
        tellEnd()
    }

    private func tellEnd() {
        let onEnd = onEnd.withLock { $0.take() }
        onEnd?(self)
    }
}

/// Joins a transport, the decoder and a subscription: decodes in place, on the transport's thread, and hands over
/// whole chunks.
///
/// Unchecked, because the transport guarantees that it never calls a receiver concurrently.
final class EventReceiver: MessageReceiver, @unchecked Sendable {
    private let channel: SubscriptionChannel
    private let reporter: MalformedReporter
    private let admission: SignatureCheck
    private let checksAll: Bool
    // Checking for overlapping accesses, twice a message, would cost as much as finding the event's type.
    @exclusivity(unchecked) private var decoder = EventDecoder()
    @exclusivity(unchecked) private var pending = EventChunk()

    init(channel: SubscriptionChannel, reporter: MalformedReporter, admission: SignatureCheck) {
        self.channel = channel
        self.reporter = reporter
        self.admission = admission
        checksAll = admission.checksAll
    }

    func receive(_ message: IncomingMessage) {
        guard !channel.isCancelled else { return }
        do throws(MalformedEvent) {
            let event = try decoder.decode(subject: message.subjectBytes, payload: message.payloadBytes, received: .now)
            if checksAll || message.headerBytes.count > 0 {
                admit(event, message)
            } else {
                pending.append(event, bytes: message.subjectBytes.count + message.payloadBytes.count)
            }
        } catch {
            channel.countMalformed()
            reporter.report(error)
            return
        }
        if pending.isFull { channel.offer(&pending) }
    }

    /// Admits an event whose header fields must be read: the rarer case.
    @inline(never)
    private func admit(_ event: Event, _ message: IncomingMessage) {
        let (subject, payload) = (message.subjectBytes, message.payloadBytes)
        let headers = MessageHeaders(block: message.headerBytes)
        guard let event = admission.admit(event, headers, subject: subject, payload: payload) else {
            return channel.countRejected()
        }
        pending.append(
            event,
            bytes: message.subjectBytes.count + message.payloadBytes.count + message.headerBytes.count
        )
    }

    func receiveBatchEnd() {
        guard !pending.isEmpty else { return }
        channel.offer(&pending)
    }

    func receiveEnd(_ error: MeshEventsError?) {
        receiveBatchEnd()
        channel.finish(error)
    }
}

/// Reports malformed events: writes a log line at most once a second, and calls ``EventBus/Configuration/onMalformed``.
final class MalformedReporter: Sendable {
    private let logger: Logger
    private let limit = SharedRateLimit()
    private let callback: (@Sendable (MalformedEvent) -> Void)?

    init(logger: Logger, callback: (@Sendable (MalformedEvent) -> Void)?) {
        self.logger = logger
        self.callback = callback
    }

    func report(_ malformed: MalformedEvent) {
        // The log gets no payload and only the beginning of the subject: the sender of both is not trusted.
        limit.admit { suppressed in
            logger.warning(
                "malformed event skipped",
                [
                    .subject: "\(malformed.subject.prefix(200))", .reason: "\(malformed.reason.prefix(200))",
                    .unreported: "\(suppressed)",
                ]
            )
        }
        callback?(malformed)
    }
}
