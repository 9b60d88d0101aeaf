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
        let headers = Self.headers(headers, messageID: messageID, expectedStream: expectedStream)
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

    /// Publishes a message without a task: `completion` is called exactly once with the acknowledgement or the error,
    /// mostly on the connection's event loop, and does little. A lost connection fails it; it never waits for the next.
    ///
    /// - Throws: what publishing throws at once: `bufferFull`, `connectionFailed` …; `completion` is not called then.
    package func startPublish(
        _ payload: [UInt8],
        to subject: String,
        messageID: String,
        expectedStream: String,
        timeout: Duration,
        owner: ObjectIdentifier,
        completion: @escaping @Sendable (Result<PublishAcknowledgement, JetStreamError>) -> Void
    ) throws(NATSError) {
        let block = Self.headerBlock(messageID: messageID, expectedStream: expectedStream)
        let complete: @Sendable (Result<NATSMessageView, NATSError>) -> Void = { answer in
            switch answer {
            case .success(let message):
                completion(Result { () throws(JetStreamError) in try PublishAcknowledgement(answer: message.payload) })
            case .failure(let error):
                completion(.failure(JetStreamError(error)))
            }
        }
        let started = payload.withUnsafeBytes { payload in
            Result { () throws(NATSError) in
                try connection.startRequest(
                    payload,
                    to: subject,
                    headerBlock: block,
                    timeout: timeout,
                    owner: owner,
                    completion: complete
                )
            }
        }
        _ = try started.get()
    }

    /// Written at once: it is needed for every message.
    private static func headerBlock(messageID: String, expectedStream: String) -> [UInt8] {
        var block: [UInt8] = []
        block.reserveCapacity(52 + messageID.utf8.count + expectedStream.utf8.count)
        block.append(contentsOf: "NATS/1.0\r\nNats-Msg-Id: ".utf8)
        block.append(contentsOf: messageID.utf8)
        block.append(contentsOf: "\r\nNats-Expected-Stream: ".utf8)
        block.append(contentsOf: expectedStream.utf8)
        block.append(contentsOf: "\r\n\r\n".utf8)
        return block
    }

    private static func headers(_ headers: NATSHeaders, messageID: String?, expectedStream: String?) -> NATSHeaders {
        var headers = headers
        if let messageID { headers.append("Nats-Msg-Id", messageID) }
        if let expectedStream { headers.append("Nats-Expected-Stream", expectedStream) }
        return headers
    }
}
