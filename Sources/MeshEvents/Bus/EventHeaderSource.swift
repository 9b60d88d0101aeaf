import Tracing

/// Adds header fields to the messages of the events that a bus emits.
///
/// ```swift
/// struct Tenant: EventHeaderSource {
///     var name: String
///
///     func addFields(to headers: inout MessageHeaders, of message: EncodedEvent) {
///         headers["tenant"] = name
///     }
/// }
/// let bus = EventBus(transport: transport, node: "node-a", configuration: .init(headerSources: [Tenant(name: "a")]))
/// ```
///
/// Receivers read the fields in ``Event/origin``. The bus asks its sources in the order of
/// ``EventBus/Configuration/headerSources``. The context of the span comes before their fields, the node's signature
/// after them. The signature does not cover header fields.
public protocol EventHeaderSource: Sendable {
    /// Adds fields to the message of an event. Called for each event, where it is emitted: it must be quick and must
    /// not block.
    ///
    /// Fields must be valid (``MessageHeaders/validate()``), and names must not begin with `Nats-`: those belong to
    /// the server. Otherwise emitting throws `invalidArgument`.
    ///
    /// - Parameters:
    ///   - headers: the fields so far.
    ///   - message: the event as it is sent.
    /// - Throws: when the event must not be sent; emitting throws this error.
    func addFields(to headers: inout MessageHeaders, of message: EncodedEvent) throws(MeshEventsError)
}

/// An event as it is sent, for an ``EventHeaderSource``.
public struct EncodedEvent: Sendable {
    /// The event, with its node and timestamp, and without an origin.
    public let event: Event
    /// The message's payload: the event, encoded.
    public let payload: [UInt8]
    /// The message id of an event that is sent to be stored; `nil` for an event without an acknowledgement.
    public let messageID: String?

    /// Creates the message of an event.
    public init(_ event: Event, payload: [UInt8], messageID: String? = nil) {
        var event = event
        event.origin = nil
        self.event = event
        self.payload = payload
        self.messageID = messageID
    }

    /// The full subject.
    public var subject: String { event.type.subject }
}

extension EventBus {
    /// The header fields of a message: the context of its span, then the fields of the bus's sources, in order.
    func headers(
        of message: @autoclosure () -> EncodedEvent,
        in span: (any Span)?
    ) throws(MeshEventsError) -> MessageHeaders {
        var headers = MessageHeaders()
        guard span != nil || !headerSources.isEmpty else { return headers }
        let message = message()
        if let span, let tracing { tracing.context(of: span).addFields(to: &headers, of: message) }
        guard !headerSources.isEmpty else { return headers }
        for source in headerSources { try source.addFields(to: &headers, of: message) }
        try headers.validate()
        if let field = headers.fields.first(where: { $0.name.utf8.starts(with: "Nats-".utf8) }) {
            throw MeshEventsError(
                .invalidArgument,
                "a source added the header field \(field.name), which is the server's"
            )
        }
        return headers
    }
}
