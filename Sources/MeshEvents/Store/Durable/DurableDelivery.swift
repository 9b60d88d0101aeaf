/// An event delivered to a durable subscription, which the reader must answer.
///
/// Answer each once: ``ack()``, ``nack(delay:reason:)`` or ``terminate(reason:)``. Without an answer the store delivers
/// the event again after the acknowledgement wait.
public struct DurableDelivery: Sendable {
    /// The event.
    public let event: Event
    /// Its sequence in the stream, from 1.
    public let sequence: UInt64
    /// When the store stored it, by the server's clock.
    public let storedAt: Timestamp
    /// How often it was delivered, this time included: 1 the first time. A retry of a dead letter counts from 1 again.
    public let deliveries: Int
    /// The sequence of the dead letter whose retry this is; `nil` for an event that was not given up before. Event,
    /// ``sequence`` and ``storedAt`` are those of the original.
    public let deadLetter: UInt64?

    let id: UInt64
    private let source: DurableSource

    init(_ entry: DurableEntry, _ source: DurableSource) {
        event = entry.event
        sequence = entry.message.stored.sequence
        storedAt = entry.message.stored.storedAt
        deliveries = entry.message.deliveries
        deadLetter = entry.message.retry?.letter
        id = entry.id
        self.source = source
    }

    /// Acknowledges the event: it is not delivered again. Returns when the store has confirmed that.
    ///
    /// - Throws: `timeout` when there is no confirmation. If the event is then delivered to this process again, it is
    ///   acknowledged again and not handed out. `closed` when it was answered before.
    public func ack() async throws(MeshEventsError) { try await source.acknowledge(id) }

    /// Reports that the event failed: it is delivered again after a delay. After the maximum of deliveries it goes to
    /// the dead letters.
    ///
    /// - Parameters:
    ///   - delay: how long the event waits; the subscription's growing delays when `nil`.
    ///   - reason: why, for the dead letter.
    /// - Throws: `timeout` when there is no confirmation; the event is delivered again anyway. `closed` when it was
    ///   answered before.
    public func nack(delay: Duration? = nil, reason: String? = nil) async throws(MeshEventsError) {
        try await source.fail(id, delay: delay, reason: reason ?? "not acknowledged")
    }

    /// Starts the event's acknowledgement wait anew, for work that takes longer. The handler form does this by itself.
    ///
    /// - Throws: `timeout`; `closed` when it was answered before.
    public func inProgress() async throws(MeshEventsError) { try await source.progress(id) }

    /// Gives the event up, since every retry would fail: it goes to the dead letters at once.
    ///
    /// - Throws: what storing the dead letter throws (the event is then delivered again); `closed` when it was answered
    ///   before.
    public func terminate(reason: String) async throws(MeshEventsError) {
        try await source.terminate(id, reason: reason)
    }
}

/// An error that the handler of a durable subscription throws to choose what happens to the event.
///
/// ```swift
/// try await persistent.subscribe(durable: "alerts", to: .toolCrashed) { delivery in
///     guard let tool = delivery.event.data["tool"]?.string else { throw DeliveryRefusal.terminate("no tool named") }
///     try await alert(tool)
/// }
/// ```
public enum DeliveryRefusal: Error, Sendable, Hashable {
    /// Every retry would fail: the event goes to the dead letters at once, with this reason.
    case terminate(_ reason: String)
    /// Deliver it again after this time, instead of the usual delay.
    case retry(after: Duration)
}
