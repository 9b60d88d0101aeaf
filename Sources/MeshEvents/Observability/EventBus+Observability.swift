extension EventBus {
    /// Reports to swift-metrics what has been counted since the last report. The bus does so itself about once a second
    /// and when it is closed. Does nothing without a metrics backend.
    public func reportMetrics() {
        metrics?.report()
    }

    /// Runs `body` in a span for an event that was received, as a child of the span in which it was emitted. For
    /// callers that read events from a sequence: the bus runs handlers in a span itself. Without a tracer this only
    /// runs `body`.
    ///
    /// ```swift
    /// for try await event in subscription {
    ///     try await bus.process(event) { try await store(event) }
    /// }
    /// ```
    ///
    /// - Throws: what `body` throws, after recording it in the span.
    public func process<Result: Sendable>(
        _ event: Event,
        _ body: () async throws -> Result
    ) async throws -> Result {
        guard let tracing else { return try await body() }
        return try await tracing.process(event, body)
    }
}
