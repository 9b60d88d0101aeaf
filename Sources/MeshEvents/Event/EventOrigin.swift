/// What came with an event that was received: the header fields of its message, and what its signature says.
///
/// It is no part of the event: two events are equal whatever came with them, and emitting a received event again sends
/// nothing of it.
public final class EventOrigin: Sendable {
    /// The message's header fields.
    public let headers: MessageHeaders
    /// What its signature says.
    public let signature: EventSignature

    /// Creates an origin.
    public init(headers: MessageHeaders, signature: EventSignature = .unchecked) {
        self.headers = headers
        self.signature = signature
    }
}
