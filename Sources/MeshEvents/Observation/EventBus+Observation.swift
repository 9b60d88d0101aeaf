extension EventBus {
    /// Reports to swift-metrics what has been counted since the last report; this happens by itself about once a second,
    /// and when the bus is closed. Does nothing when there is no metrics backend.
    public func reportMetrics() {
        metrics?.report()
    }

    /// Runs `body` in a span for an event that was received, as a child of the span in which it was emitted: for those
    /// who read events from a sequence. Handlers run in one by themselves. Without a tracer it just runs `body`.
    ///
    /// ```swift
    /// for try await event in subscription {
    ///     try await bus.process(event) { try await store(event) }
    /// }
    /// ```
    ///
    /// - Throws: what `body` throws, having noted it in the span.
    public func process<Result: Sendable>(
        _ event: Event,
        _ body: () async throws -> Result
    ) async throws -> Result {
        guard let tracing else { return try await body() }
        return try await tracing.process(event, body)
    }
}
