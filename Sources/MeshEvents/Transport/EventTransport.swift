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

    /// One element for each time that messages pass again after an outage; ends when the transport is closed for good.
    /// Each call makes a new stream.
    ///
    /// A node announces itself again then. The default is a stream that ends at once, for transports without outages.
    var reconnections: AsyncStream<Void> { get }
}

extension EventTransport {
    /// No element: for a transport without outages.
    public var reconnections: AsyncStream<Void> { AsyncStream { nil } }
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

/// A message about to be sent. The bytes belong to the caller and are valid during the call only, so it cannot be kept.
public struct OutgoingMessage: ~Escapable {
    package let subjectBytes: UnsafeRawBufferPointer
    package let payloadBytes: UnsafeRawBufferPointer
    /// Header fields, already validated.
    public let headers: MessageHeaders

    /// Creates a message over bytes of the caller.
    ///
    /// - Parameters:
    ///   - subject: the subject, UTF-8, already validated.
    ///   - payload: the payload.
    ///   - headers: header fields, already validated.
    @_lifetime(copy subject, copy payload)
    public init(subject: RawSpan, payload: RawSpan, headers: MessageHeaders = MessageHeaders()) {
        subjectBytes = subject.withUnsafeBytes { $0 }
        payloadBytes = payload.withUnsafeBytes { $0 }
        self.headers = headers
    }

    /// The caller keeps the bytes for as long as it uses the message.
    @_lifetime(immortal)
    package init(
        subjectBytes: UnsafeRawBufferPointer,
        payloadBytes: UnsafeRawBufferPointer,
        headers: MessageHeaders = MessageHeaders()
    ) {
        self.subjectBytes = subjectBytes
        self.payloadBytes = payloadBytes
        self.headers = headers
    }

    /// The subject, UTF-8, already validated.
    public var subject: RawSpan { @_lifetime(copy self) get { _overrideLifetime(subjectBytes.bytes, copying: self) } }
    /// The payload.
    public var payload: RawSpan { @_lifetime(copy self) get { _overrideLifetime(payloadBytes.bytes, copying: self) } }
}

/// A message that has arrived. Its bytes are valid only during the call that hands it over, so it cannot be kept.
public struct IncomingMessage: ~Escapable {
    package let subjectBytes: UnsafeRawBufferPointer
    package let payloadBytes: UnsafeRawBufferPointer
    package let headerBytes: UnsafeRawBufferPointer

    /// Creates a message over bytes of the caller, without header fields.
    ///
    /// - Parameters:
    ///   - subject: the subject as received.
    ///   - payload: the payload as received.
    @_lifetime(copy subject, copy payload)
    public init(subject: RawSpan, payload: RawSpan) {
        subjectBytes = subject.withUnsafeBytes { $0 }
        payloadBytes = payload.withUnsafeBytes { $0 }
        headerBytes = UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// Creates a message over bytes of the caller.
    ///
    /// - Parameters:
    ///   - subject: the subject as received.
    ///   - payload: the payload as received.
    ///   - headers: the raw header block, `NATS/1.0` line included (NATS ADR-4); empty when there is none.
    @_lifetime(copy subject, copy payload, copy headers)
    public init(subject: RawSpan, payload: RawSpan, headers: RawSpan) {
        subjectBytes = subject.withUnsafeBytes { $0 }
        payloadBytes = payload.withUnsafeBytes { $0 }
        headerBytes = headers.withUnsafeBytes { $0 }
    }

    /// The caller keeps the bytes for as long as it uses the message.
    @_lifetime(immortal)
    package init(
        subjectBytes: UnsafeRawBufferPointer,
        payloadBytes: UnsafeRawBufferPointer,
        headerBytes: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) {
        self.subjectBytes = subjectBytes
        self.payloadBytes = payloadBytes
        self.headerBytes = headerBytes
    }

    /// The subject as received.
    public var subject: RawSpan { @_lifetime(copy self) get { _overrideLifetime(subjectBytes.bytes, copying: self) } }
    /// The payload as received.
    public var payload: RawSpan { @_lifetime(copy self) get { _overrideLifetime(payloadBytes.bytes, copying: self) } }
    /// The raw header block, `NATS/1.0` line included (NATS ADR-4); empty when there is none. ``MessageHeaders`` reads it.
    public var headers: RawSpan { @_lifetime(copy self) get { _overrideLifetime(headerBytes.bytes, copying: self) } }
}

/// The counts of a transport since it was made.
public struct TransportStatistics: Sendable, Hashable {
    /// How often the connection was lost and restored.
    public var reconnects: UInt64
    /// How many messages were in flight when a connection was lost: they may have arrived or not.
    public var unconfirmed: UInt64
    /// How many bytes wait to be sent at this moment.
    public var outboundBytes: Int

    /// Creates statistics.
    public init(reconnects: UInt64 = 0, unconfirmed: UInt64 = 0, outboundBytes: Int = 0) {
        self.reconnects = reconnects
        self.unconfirmed = unconfirmed
        self.outboundBytes = outboundBytes
    }
}

extension EventTransport {
    /// The default for a transport that counts nothing: all zero.
    public var statistics: TransportStatistics { TransportStatistics() }
}
