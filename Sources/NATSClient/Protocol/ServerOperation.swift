/// One operation sent by a server. It refers to the bytes of the receive buffer and is valid only while they are.
enum ServerOperation {
    /// The JSON object after `INFO`.
    case info(UnsafeRawBufferPointer)
    case message(MessageFrame)
    case ping
    case pong
    case ok
    /// The text after `-ERR`, quotes removed.
    case error(String)
}

/// A `MSG` or `HMSG`; it refers to the bytes of the receive buffer.
struct MessageFrame {
    let sid: UInt64
    let subject: UnsafeRawBufferPointer
    /// Empty when the message has no reply subject.
    let reply: UnsafeRawBufferPointer
    /// The header block with its `NATS/1.0` line; empty for `MSG`.
    let headers: UnsafeRawBufferPointer
    let payload: UnsafeRawBufferPointer
}
