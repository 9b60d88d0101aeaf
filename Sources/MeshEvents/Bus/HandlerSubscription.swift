import Logging
import MeshConcurrency
import MeshLogging

/// A handler that is called for every event, one at a time, in order.
///
/// It lives until ``cancel()``, a drain or `EventBus.close()`, even when the caller does not keep this object. An error
/// the handler throws is counted and logged, and never ends the subscription.
public final class HandlerSubscription: Sendable {
    private let channel: SubscriptionChannel
    private let finished = OneTimeSignal()
    private let task = Locked<Task<Void, Never>?>(nil)
    private let ended = Locked<MeshEventsError?>(nil)

    init(
        channel: SubscriptionChannel,
        pattern: String,
        logger: Logger,
        tracing: EventTracing?,
        handler: @escaping @Sendable (Event) async throws -> Void
    ) {
        self.channel = channel
        let loop = Task {
            await run(pattern: pattern, logger: logger, tracing: tracing, handler: handler)
            finished.send()
        }
        task.withLock { $0 = loop }
    }

    /// How many events have arrived, those in ``dropped`` included.
    public var received: UInt64 { channel.received }
    /// How many events were lost because the handler was slower than the mesh; see ``EventSubscription/Buffer``.
    public var dropped: UInt64 { channel.dropped }
    /// How many messages were skipped because they were not events (or not of the payload type).
    public var malformed: UInt64 { channel.malformed }
    /// How many events were not delivered because their signature is not valid; see ``SignatureVerification``.
    public var rejected: UInt64 { channel.rejected }
    /// How many times the handler has thrown.
    public var handlerErrors: UInt64 { channel.handlerErrors }

    /// Why the subscription has ended by itself: `subscriberTooSlow`, `permissionDenied` when the server has revoked
    /// it, and others. `nil` while it lives, and after ``cancel()``, a drain or the closing of the bus.
    public var failure: MeshEventsError? { ended.withLock { $0 } }

    /// Ends the subscription at once: the handler is not called again. A call under way sees its task cancelled.
    /// Harmless when repeated.
    public func cancel() {
        channel.cancel()
        task.withLock { $0 }?.cancel()
    }

    /// Ends the subscription gently: on return the handler has seen everything emitted before (as far as the server
    /// had processed it) and is not called again.
    ///
    /// - Throws: `timeout` (the handler continues with the events that have arrived), `closed`.
    public func drain(timeout: Duration = .seconds(10)) async throws(MeshEventsError) {
        let deadline = ContinuousClock.now + timeout
        try await channel.drain(timeout: timeout)
        try await finished.wait(until: deadline, for: "the handler to finish with the events that had arrived")
    }

    private func run(
        pattern: String,
        logger: Logger,
        tracing: EventTracing?,
        handler: @Sendable (Event) async throws -> Void
    ) async {
        let limit = SharedRateLimit()
        var chunk = EventChunk()
        while true {
            switch await channel.next(recycling: &chunk) {
            case .end:
                return
            case .failure(let error):
                ended.withLock { $0 = error }
                logger.error("subscription ended", [.pattern: "\(pattern)", .error: "\(error)"])
                return
            case .chunk(let next):
                chunk = next
            }
            while let event = chunk.popFirst() {
                if channel.isCancelled { return }
                do {
                    if let tracing {
                        try await tracing.process(event, template: pattern) { try await handler(event) }
                    } else {
                        try await handler(event)
                    }
                } catch {
                    channel.countHandlerError()
                    limit.admit { suppressed in
                        logger.warning(
                            "handler failed",
                            [
                                .pattern: "\(pattern)", .type: "\(event.type)", .error: "\(error)",
                                .unreported: "\(suppressed)",
                            ]
                        )
                    }
                }
            }
        }
    }
}
