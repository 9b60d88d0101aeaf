import Locking
import MeshConcurrency
import Synchronization

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
        _ configuration: BufferConfiguration,
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
        return await buffer.next(isolation: isolation) ?? .end
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
