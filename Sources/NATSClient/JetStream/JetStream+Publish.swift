import MeshJSON
import MessageGrammar
public import NIOCore

extension JetStream {
    /// What a stream must hold for a message to be stored: so two writers cannot overwrite each other unseen.
    public enum Expectation: Sendable, Hashable {
        /// The stream's newest message has this sequence; 0 for a stream without one.
        case lastSequence(UInt64)
        /// The newest message to the same subject has this sequence; 0 when there must be none.
        case lastSubjectSequence(UInt64)
        /// The newest message whose subject matches `pattern` has this sequence. Shown with nats-server 2.15; one that is
        /// too old for it (2.9 is) looks at the message's own subject.
        case lastSequenceMatching(pattern: String, UInt64)
        /// The stream's newest message was published with this message id.
        case lastMessageID(String)

        fileprivate func add(to headers: inout NATSHeaders) {
            switch self {
            case .lastSequence(let sequence): headers.append("Nats-Expected-Last-Sequence", "\(sequence)")
            case .lastSubjectSequence(let sequence):
                headers.append("Nats-Expected-Last-Subject-Sequence", "\(sequence)")
            case .lastSequenceMatching(let pattern, let sequence):
                headers.append("Nats-Expected-Last-Subject-Sequence", "\(sequence)")
                headers.append("Nats-Expected-Last-Subject-Sequence-Subject", pattern)
            case .lastMessageID(let id): headers.append("Nats-Expected-Last-Msg-Id", id)
            }
        }
    }

    /// Publishes a message and returns when a stream has stored it.
    ///
    /// - Parameters:
    ///   - payload: the message's content.
    ///   - subject: where to publish: one that a stream captures.
    ///   - messageID: a stream stores a message with this id once, however often it is sent within the duplicate
    ///     window.
    ///   - expectedStream: the stream that must store the message; any other refuses it.
    ///   - expectation: what the stream must hold; otherwise it refuses the message with `wrongLastSequence`,
    ///     `wrongLastSequenceConstant` or `wrongLastMessageID`.
    ///   - timeToLive: how long the stream keeps the message, whole seconds from 1 (a part of one counts as one). The
    ///     stream must allow it (`allow_msg_ttl`, servers from 2.11): otherwise the error is `messageTTLDisabled`. A server
    ///     before 2.11 ignores it.
    ///   - headers: further header fields.
    ///   - timeout: how long to wait for the acknowledgement once the server has the message; `nil` for ``timeout``.
    /// - Throws: the server's error; `invalidArgument` for a time to live below a second; a `connection` error without
    ///   responders when no stream has the subject; `timeout` when the acknowledgement did not come. After a timeout the
    ///   message may be stored: send it again with the same id.
    public func publish(
        _ payload: ByteBuffer,
        to subject: String,
        messageID: String? = nil,
        expectedStream: String? = nil,
        expectation: Expectation? = nil,
        timeToLive: Duration? = nil,
        headers: NATSHeaders = [:],
        timeout: Duration? = nil
    ) async throws(JetStreamError) -> PublishAcknowledgement {
        var headers = headers
        expectation?.add(to: &headers)
        if let timeToLive {
            guard timeToLive >= .seconds(1) else {
                throw JetStreamError(.invalidArgument, "a message lives for at least one second, not \(timeToLive)")
            }
            let (seconds, rest) = timeToLive.components
            headers.append("Nats-TTL", "\(rest > 0 && seconds < .max ? seconds + 1 : seconds)s")
        }
        let answer = try await publish(
            payload,
            to: subject,
            messageID: messageID,
            expectedStream: expectedStream,
            headers: headers,
            timeout: timeout
        ) { answer, _ in answer }
        return try answer.get()
    }

    /// Publishes a message and returns the first answer for which `read` returns a value.
    ///
    /// `read` is called on the event loop and must do little. It also sees later answers (`isFurther`): several streams
    /// may take the message, and each answers.
    ///
    /// - Parameters:
    ///   - silence: how long no byte may come or go while it is unknown whether the server has the message; `nil` for
    ///     six times the timeout.
    ///   - onlyNow: whether it goes out on the present connection or not at all.
    package func publish<Answer: Sendable>(
        _ payload: ByteBuffer,
        to subject: String,
        messageID: String?,
        expectedStream: String?,
        headers: NATSHeaders,
        timeout: Duration?,
        silence: Duration? = nil,
        onlyNow: Bool = false,
        read: @escaping @Sendable (Result<PublishAcknowledgement, JetStreamError>, _ isFurther: Bool) -> Answer?
    ) async throws(JetStreamError) -> Answer {
        let timeout = timeout ?? self.timeout
        let headers = Self.headers(headers, messageID: messageID, expectedStream: expectedStream)
        do throws(NATSError) {
            return try await connection.request(
                payload,
                to: subject,
                headers: headers,
                timeout: timeout,
                silence: silence ?? Self.silence(timeout),
                onlyNow: onlyNow
            ) { message, isFurther in
                let answer = message.payloadBytes
                return read(
                    Result { () throws(JetStreamError) in try PublishAcknowledgement(answer: answer) },
                    isFurther
                )
            }
        } catch {
            throw JetStreamError(error)
        }
    }

    /// Publishes a message whose acknowledgement comes on a shared reply subject, without waiting for it;
    /// ``PublishAcknowledgement/result(of:)`` reads it.
    ///
    /// - Parameter headerLines: further header fields in wire format, already validated.
    /// - Throws: what publishing throws at once: `bufferFull`, `connectionFailed` …; nothing is sent then.
    package func publish(
        _ payload: [UInt8],
        to subject: String,
        messageID: String,
        expectedStream: String,
        headerLines: String = "",
        replyTo reply: SharedReply
    ) throws(NATSError) {
        let sent = Self.withHeaderBlock(messageID, expectedStream, headerLines) { block in
            payload.withUnsafeBytes { payload in
                Result { () throws(NATSError) in
                    try connection.publish(payload, to: subject, replyTo: reply, headerBlock: block)
                }
            }
        }
        try sent.get()
    }

    /// Makes the header block in wire format, without allocating: every message needs one.
    private static func withHeaderBlock<Result>(
        _ messageID: String,
        _ expectedStream: String,
        _ furtherLines: String,
        _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        let (id, stream) = ("Nats-Msg-Id", "Nats-Expected-Stream")
        let room = HeaderWriter.room(id, messageID) + HeaderWriter.room(stream, expectedStream)
        let size = HeaderWriter.frame + room + furtherLines.utf8.count
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: size) { buffer in
            var writer = HeaderWriter(buffer)
            writer.begin()
            writer.field(id, messageID)
            writer.field(stream, expectedStream)
            writer.lines(furtherLines)
            writer.end()
            return body(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: buffer[..<writer.count])))
        }
    }

    private static func headers(_ headers: NATSHeaders, messageID: String?, expectedStream: String?) -> NATSHeaders {
        var headers = headers
        if let messageID { headers.append("Nats-Msg-Id", messageID) }
        if let expectedStream { headers.append("Nats-Expected-Stream", expectedStream) }
        return headers
    }
}

extension PublishAcknowledgement {
    /// Reads an answer to a message: an acknowledgement, the server's error, or the reason why there is none.
    package static func result(of answer: SharedAnswer) -> Result<PublishAcknowledgement, JetStreamError> {
        do throws(JetStreamError) {
            return .success(try PublishAcknowledgement(answer))
        } catch {
            return .failure(error)
        }
    }

    private init(_ answer: SharedAnswer) throws(JetStreamError) {
        switch answer {
        case .message(let message): try self.init(answer: message.payloadBytes)
        case .noResponders: throw JetStreamError(NATSError.noResponders)
        case .ended(let error): throw JetStreamError(error)
        }
    }
}

/// The server's answer to a message that a stream has stored.
public struct PublishAcknowledgement: Sendable, Hashable {
    /// The stream that stored it.
    public let stream: String
    /// Its sequence in the stream, from 1.
    public let sequence: UInt64
    /// Whether the stream already had this message id: the message is stored once, at ``sequence``.
    public let isDuplicate: Bool
    /// The JetStream domain, when the server has one.
    public let domain: String?

    /// Creates an acknowledgement.
    public init(stream: String, sequence: UInt64, isDuplicate: Bool = false, domain: String? = nil) {
        self.stream = stream
        self.sequence = sequence
        self.isDuplicate = isDuplicate
        self.domain = domain
    }

    /// Reads the answer to a publish.
    ///
    /// - Throws: the error the server answered with, or `invalidAnswer` when a stream did not send this: a plain
    ///   subscriber may have replied to the message.
    public init(answer: RawSpan) throws(JetStreamError) {
        let result = answer.withUnsafeBytes { answer in
            Result { () throws(JetStreamError) in try PublishAcknowledgement(answer: answer) }
        }
        self = try result.get()
    }

    package init(answer: UnsafeRawBufferPointer) throws(JetStreamError) {
        var reader = FlatJSONReader(answer)
        var stream: String?
        var sequence: UInt64?
        var duplicate = false
        var domain: String?
        var hasError = false
        guard reader.beginObject() else { throw Self.invalid(answer) }
        while let member = reader.nextMember() {
            switch member.name {
            case "stream": stream = reader.string(member.value)
            case "seq": sequence = reader.number(member.value)
            case "duplicate": duplicate = reader.isTrue(member.value)
            case "domain": domain = reader.string(member.value)
            case "error": hasError = true
            default: break
            }
        }
        if hasError { throw Self.error(answer) }
        guard reader.isComplete, let stream, let sequence, sequence > 0 else { throw Self.invalid(answer) }
        self.init(stream: stream, sequence: sequence, isDuplicate: duplicate, domain: domain)
    }

    /// Reads the error object with the ordinary decoder: this path is rare.
    private static func error(_ answer: UnsafeRawBufferPointer) -> JetStreamError {
        struct Failure: Decodable { let error: JetStreamError.Answer }
        guard let failure = try? APICoding.decode(Failure.self, from: answer) else { return invalid(answer) }
        return failure.error.error
    }

    private static func invalid(_ answer: UnsafeRawBufferPointer) -> JetStreamError {
        let text = String(decoding: answer.prefix(100), as: UTF8.self)
        return JetStreamError(
            .invalidAnswer,
            "the answer to a publish is not an acknowledgement of a stream: \(text.debugDescription)"
        )
    }
}
