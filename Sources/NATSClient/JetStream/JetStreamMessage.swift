public import NIOCore

/// A message of a stream in place: its bytes are valid only during the receiver's call.
public struct JetStreamMessageView {
    /// The subject it was sent to.
    public let subject: UnsafeRawBufferPointer
    /// The raw header block; empty when there is none.
    public let headers: UnsafeRawBufferPointer
    /// The payload.
    public let payload: UnsafeRawBufferPointer
    /// The subject that acknowledges it.
    public let replyTo: UnsafeRawBufferPointer
    /// Where it lies in the stream.
    public let position: AcknowledgementSubject

    /// The message id it was published with; `nil` without one.
    package var messageID: String? { HeaderBlock(bytes: headers).fields()["Nats-Msg-Id"] }
}

/// A message of a stream, copied.
public struct JetStreamMessage: Sendable {
    /// The subject it was sent to.
    public let subject: String
    /// The header fields.
    public let headers: NATSHeaders
    /// The payload.
    public let payload: ByteBuffer
    /// The subject that acknowledges it.
    public let replyTo: String
    /// Where it lies in the stream, when it was stored, how often it was delivered.
    public let position: AcknowledgementSubject

    /// Copies a message.
    public init(_ view: JetStreamMessageView) {
        subject = String(decoding: view.subject, as: UTF8.self)
        headers = view.headers.isEmpty ? [:] : HeaderBlock(bytes: view.headers).fields()
        payload = ByteBuffer(bytes: view.payload)
        replyTo = String(decoding: view.replyTo, as: UTF8.self)
        position = view.position
    }
}
