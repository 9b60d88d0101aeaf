/// What a received event's message carried beside the event: its header fields and the result of the signature check.
///
/// The origin is no part of the event: comparing events ignores it, and emitting a received event again does not send
/// it.
public final class EventOrigin: Sendable {
    /// The message's header fields.
    public let headers: MessageHeaders
    /// The result of the signature check.
    public let signature: EventSignature

    /// Creates an origin.
    public init(headers: MessageHeaders, signature: EventSignature = .unchecked) {
        self.headers = headers
        self.signature = signature
    }
}
