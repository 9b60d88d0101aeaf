import MessageGrammar
public import NIOCore

/// A message that has arrived, copied out of the connection's buffer.
public struct NATSMessage: Sendable {
    /// The subject it was sent to.
    public let subject: String
    /// The subject for an answer; `nil` when the sender wants none.
    public let replyTo: String?
    /// The header fields.
    public let headers: NATSHeaders
    /// The status in the header's first line, as servers use it: 100, 404, 408, 409, 503 …
    public let status: Int?
    /// The text after the status.
    public let statusDescription: String?
    /// The payload.
    public let payload: ByteBuffer

    /// Creates a message.
    public init(
        subject: String,
        replyTo: String? = nil,
        headers: NATSHeaders = [:],
        status: Int? = nil,
        statusDescription: String? = nil,
        payload: ByteBuffer = ByteBuffer()
    ) {
        self.subject = subject
        self.replyTo = replyTo
        self.headers = headers
        self.status = status
        self.statusDescription = statusDescription
        self.payload = payload
    }
}

extension NATSMessage {
    /// About how many bytes of memory it takes: its contents, and an allowance for the message and for each field.
    var memory: Int {
        let names = 256 + subject.utf8.count + (replyTo?.utf8.count ?? 0) + (statusDescription?.utf8.count ?? 0)
        return headers.fields.reduce(names + payload.readableBytes) { sum, field in
            sum + 64 + field.name.utf8.count + field.value.utf8.count
        }
    }
}

/// A message in place: its bytes lie in the connection's read buffer, and are valid only during the receiver's call. So
/// it cannot be kept; ``copied()`` makes a copy that can.
public struct NATSMessageView: ~Escapable {
    package let subjectBytes: UnsafeRawBufferPointer
    package let replyToBytes: UnsafeRawBufferPointer
    package let headerBytes: UnsafeRawBufferPointer
    package let payloadBytes: UnsafeRawBufferPointer

    /// The caller keeps the bytes of the frame for as long as it uses the view.
    @_lifetime(immortal)
    init(_ frame: MessageFrame) {
        subjectBytes = frame.subject
        replyToBytes = frame.reply
        headerBytes = frame.headers
        payloadBytes = frame.payload
    }

    /// The subject it was sent to.
    public var subject: RawSpan { @_lifetime(copy self) get { _overrideLifetime(subjectBytes.bytes, copying: self) } }
    /// The subject for an answer; empty when the sender wants none.
    public var replyTo: RawSpan { @_lifetime(copy self) get { _overrideLifetime(replyToBytes.bytes, copying: self) } }
    /// The raw header block with its `NATS/1.0` line; empty when there is none.
    public var headers: RawSpan { @_lifetime(copy self) get { _overrideLifetime(headerBytes.bytes, copying: self) } }
    /// The payload.
    public var payload: RawSpan { @_lifetime(copy self) get { _overrideLifetime(payloadBytes.bytes, copying: self) } }

    /// The status in the header's first line.
    public var status: Int? { headerBytes.isEmpty ? nil : HeaderBlock(bytes: headerBytes).status?.code }

    /// A copy that outlives the call.
    public func copied() -> NATSMessage {
        let block = HeaderBlock(bytes: headerBytes)
        let status = headerBytes.isEmpty ? nil : block.status
        return NATSMessage(
            subject: String(decoding: subjectBytes, as: UTF8.self),
            replyTo: replyToBytes.isEmpty ? nil : String(decoding: replyToBytes, as: UTF8.self),
            headers: headerBytes.isEmpty ? [:] : block.fields(),
            status: status?.code,
            statusDescription: status?.description,
            payload: ByteBuffer(bytes: payloadBytes)
        )
    }
}

/// Receives the messages of one subscription on the connection's event loop: one call at a time, in order.
///
/// Implementations must do little and never block: every subscription of the connection waits meanwhile. They keep what
/// they need, and pass it on at the end of the batch.
public protocol NATSMessageReceiver: AnyObject, Sendable {
    /// One message; its bytes are valid during this call only.
    func receive(_ message: NATSMessageView)
    /// A message has begun to come, and more of it than one read brings is still missing. Not called for every message.
    ///
    /// - Parameter replyTo: the subject for an answer; empty for none.
    func receiveBegin(replyTo: String)
    /// The read that brought the messages is done: pass on what was collected.
    func receiveBatchEnd()
    /// The subscription has ended; `error` is `nil` after a cancel, a drain or its last message.
    func receiveEnd(_ error: NATSError?)
}

extension NATSMessageReceiver {
    /// Does nothing: the receiver waits for the whole message.
    public func receiveBegin(replyTo: String) {}
}
