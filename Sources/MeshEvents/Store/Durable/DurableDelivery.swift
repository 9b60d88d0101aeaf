/// An event that a durable subscription was given, until it is answered.
///
/// Answer each once: ``ack()``, ``nack(delay:reason:)`` or ``terminate(reason:)``. Without an answer the event comes
/// again after the acknowledgement wait.
public struct DurableDelivery: Sendable {
    /// The event.
    public let event: Event
    /// Its sequence in the stream, from 1.
    public let sequence: UInt64
    /// When the store took it, by the server's clock.
    public let storedAt: Timestamp
    /// How often it was delivered, this time included: 1 the first time.
    public let deliveries: Int

    let id: UInt64
    private let source: DurableSource

    init(_ entry: DurableEntry, _ source: DurableSource) {
        event = entry.event
        sequence = entry.message.stored.sequence
        storedAt = entry.message.stored.storedAt
        deliveries = entry.message.deliveries
        id = entry.id
        self.source = source
    }

    /// The event is done: it does not come again. Returns when the store has confirmed that.
    ///
    /// - Throws: `timeout` when there is no confirmation. Should the event come again to this process, it is
    ///   acknowledged again and not handed out. `closed` when it was answered before.
    public func ack() async throws(MeshEventsError) { try await source.acknowledge(id) }

    /// The event failed: it comes again after a delay; after the maximum of deliveries it goes to the dead letters.
    ///
    /// - Parameters:
    ///   - delay: how long it waits; the subscription's growing delays when `nil`.
    ///   - reason: why, for the dead letter.
    /// - Throws: `timeout` when there is no confirmation: it comes again all the same. `closed` when it was answered
    ///   before.
    public func nack(delay: Duration? = nil, reason: String? = nil) async throws(MeshEventsError) {
        try await source.fail(id, delay: delay, reason: reason ?? "not acknowledged")
    }

    /// The event takes longer: its acknowledgement wait begins anew. The handler form does this by itself.
    ///
    /// - Throws: `timeout`; `closed` when it was answered before.
    public func inProgress() async throws(MeshEventsError) { try await source.progress(id) }

    /// The event will never work: it goes to the dead letters at once.
    ///
    /// - Throws: what storing the dead letter throws (the event comes again then); `closed` when it was answered before.
    public func terminate(reason: String) async throws(MeshEventsError) {
        try await source.terminate(id, reason: reason)
    }
}
