/// A message about to be sent. The bytes belong to the caller and are valid during the call only.
public struct OutgoingMessage {
    /// The subject, UTF-8, already validated.
    public let subject: UnsafeRawBufferPointer
    /// The payload.
    public let payload: UnsafeRawBufferPointer
    /// Header fields, already validated.
    public let headers: MessageHeaders

    /// Creates a message over bytes that outlive the call it is passed to.
    public init(
        subject: UnsafeRawBufferPointer,
        payload: UnsafeRawBufferPointer,
        headers: MessageHeaders = MessageHeaders()
    ) {
        self.subject = subject
        self.payload = payload
        self.headers = headers
    }
}

/// A message that has arrived. Its bytes are valid only during the call that hands it over.
public struct IncomingMessage {
    /// The subject as received.
    public let subject: UnsafeRawBufferPointer
    /// The payload as received.
    public let payload: UnsafeRawBufferPointer
    /// The raw header block, `NATS/1.0` line included (NATS ADR-4); empty when there is none. ``MessageHeaders`` reads it.
    public let headers: UnsafeRawBufferPointer

    /// Creates a message over bytes that outlive the call it is passed to.
    public init(
        subject: UnsafeRawBufferPointer,
        payload: UnsafeRawBufferPointer,
        headers: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) {
        self.subject = subject
        self.payload = payload
        self.headers = headers
    }
}
