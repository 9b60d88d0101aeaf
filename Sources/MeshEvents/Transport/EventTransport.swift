/// A connection to a messaging system with NATS's subject rules, as the event bus uses it.
///
/// Two implementations pass the same conformance suite: `NATSTransport` (module MeshEventsNATS) and
/// `InMemoryTransport` (module MeshEventsTesting).
public protocol EventTransport: Sendable {
    /// The largest payload the other side accepts, in bytes; `nil` while unknown (not connected yet).
    var maximumPayload: Int? { get }

    /// The counts since the transport was made; read about once a second.
    var statistics: TransportStatistics { get }

    /// Queues one message for sending, in the order of the calls. Never blocks and never suspends.
    ///
    /// - Throws: `bufferFull` (retriable) when the outbound buffer is at its high-water mark, `payloadTooLarge`,
    ///   `closed`. A message whose call threw is not sent.
    func publish(_ message: OutgoingMessage) throws(MeshEventsError)

    /// Suspends until the outbound buffer has room for ``publish(_:)``; returns at once when it has.
    ///
    /// - Throws: `closed`; `CancellationError` is reported as `closed` too.
    func waitUntilWritable() async throws(MeshEventsError)

    /// Suspends until the server has processed everything published before.
    ///
    /// - Throws: `timeout`, `closed`, `permissionDenied` when the server refused something since the last flush.
    func flush(timeout: Duration) async throws(MeshEventsError)

    /// Subscribes; when this returns, the server has the subscription.
    ///
    /// - Parameters:
    ///   - subject: a full subject pattern (`*` one token, `>` the rest).
    ///   - queueGroup: members of a group share the messages: each goes to one of them.
    ///   - receiver: called for every message, never concurrently.
    func subscribe(
        to subject: String,
        queueGroup: String?,
        receiver: any MessageReceiver
    ) async throws(MeshEventsError) -> any TransportSubscription
}

/// Receives the messages of one subscription: one call at a time, in order, on the transport's own thread.
///
/// Implementations do little work and never block: they copy what they need, and hand it over at the end of the batch.
public protocol MessageReceiver: AnyObject, Sendable {
    /// One message. Its bytes are valid during this call only.
    func receive(_ message: IncomingMessage)
    /// No more messages are available right now: pass on those collected.
    func receiveBatchEnd()
    /// The subscription has ended: `nil` after a cancel or a drain, otherwise the reason.
    func receiveEnd(_ error: MeshEventsError?)
}

/// A transport's subscription.
public protocol TransportSubscription: AnyObject, Sendable {
    /// Stops delivery at once and calls ``MessageReceiver/receiveEnd(_:)`` with `nil`. Harmless when repeated.
    func cancel()
    /// Stops new deliveries, waits for those in flight, then ends: `receiveEnd(nil)` has been called on return.
    func drain(timeout: Duration) async throws(MeshEventsError)
}
