public import NIOCore

extension JetStream {
    /// Publishes a message and returns when a stream has stored it.
    ///
    /// - Parameters:
    ///   - messageID: stored once, however often it is sent within the stream's duplicate window.
    ///   - expectedStream: the stream that must store it; the message is refused by any other.
    ///   - headers: further header fields.
    /// - Throws: the server's error; a `connection` error without responders when no stream has the subject; `timeout`
    ///   when the acknowledgement did not come: the message may be stored, send it again with the same id.
    public func publish(
        _ payload: ByteBuffer,
        to subject: String,
        messageID: String? = nil,
        expectedStream: String? = nil,
        headers: NATSHeaders = [:],
        timeout: Duration? = nil
    ) async throws(JetStreamError) -> PublishAcknowledgement {
        var headers = headers
        if let messageID { headers["Nats-Msg-Id"] = messageID }
        if let expectedStream { headers["Nats-Expected-Stream"] = expectedStream }
        let answer: NATSMessage
        do throws(NATSError) {
            answer = try await connection.request(
                payload,
                to: subject,
                headers: headers,
                timeout: timeout ?? self.timeout
            )
        } catch {
            throw JetStreamError(error)
        }
        return try answer.payload.withUnsafeReadableBytes { bytes in
            Result { () throws(JetStreamError) in try PublishAcknowledgement(answer: bytes) }
        }.get()
    }
}
