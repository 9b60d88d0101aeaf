import Foundation
import MeshJSON
import MessageGrammar
import NIOCore

/// A message as a stream keeps it, got by its position (`$JS.API.STREAM.MSG.GET`).
public struct StreamMessage: Sendable {
    /// The subject it was sent to.
    public let subject: String
    /// Its sequence in the stream, from 1.
    public let sequence: UInt64
    /// When the server stored it, RFC 3339.
    public let time: String
    /// The header block as it went over the wire; empty when there is none.
    public let headerBlock: [UInt8]
    /// The payload.
    public let payload: [UInt8]

    /// The message id it was published with; `nil` without one.
    package var messageID: String? {
        headerBlock.withUnsafeBytes { HeaderBlock(bytes: $0).fields()["Nats-Msg-Id"] }
    }
}

extension JetStream {
    /// Gets the first message at or after a sequence whose subject matches. The request changes nothing on the server;
    /// every server from 2.9 knows it.
    ///
    /// - Parameters:
    ///   - sequence: where to begin; 0 means 1.
    ///   - subject: the subjects that count, as a pattern; `>` for all.
    ///   - stream: the stream's name.
    ///   - timeout: how long the server may take; `nil` for ``timeout``.
    /// - Returns: `nil` when there is none.
    /// - Throws: `streamNotFound`, `timeout`, what the connection throws.
    public func message(
        atOrAfter sequence: UInt64,
        matching subject: String,
        on stream: String,
        timeout: Duration? = nil
    ) async throws(JetStreamError) -> StreamMessage? {
        try await message(NextMessageRequest(seq: max(sequence, 1), next_by_subj: subject), on: stream, timeout)
    }

    /// Gets the newest message whose subject matches.
    ///
    /// - Parameters:
    ///   - subject: the subject, or a pattern.
    ///   - stream: the stream's name.
    ///   - timeout: how long the server may take; `nil` for ``timeout``.
    /// - Returns: `nil` when there is none.
    /// - Throws: `streamNotFound`, `timeout`, what the connection throws.
    public func lastMessage(
        to subject: String,
        on stream: String,
        timeout: Duration? = nil
    ) async throws(JetStreamError) -> StreamMessage? {
        try await message(LastMessageRequest(last_by_subj: subject), on: stream, timeout)
    }

    /// Deletes a message of a stream; its sequence is not used again.
    ///
    /// - Parameters:
    ///   - sequence: the message's.
    ///   - stream: the stream's name.
    ///   - overwrites: whether its bytes on the disk are overwritten, which takes longer.
    ///   - timeout: how long the server may take; `nil` for ``timeout``.
    /// - Throws: the server's error when there is no such message, or the stream forbids it.
    public func deleteMessage(
        _ sequence: UInt64,
        on stream: String,
        overwrites: Bool = false,
        timeout: Duration? = nil
    ) async throws(JetStreamError) {
        struct Request: Encodable {
            let seq: UInt64
            let no_erase: Bool
        }
        try Self.validate(name: stream, of: "stream")
        let answer: SuccessAnswer = try await call(
            "STREAM.MSG.DELETE.\(stream)",
            body: Request(seq: sequence, no_erase: !overwrites),
            timeout: timeout
        )
        guard answer.success else {
            throw JetStreamError(.invalidAnswer, "the server did not delete message \(sequence) of \(stream)")
        }
    }

    private func message(
        _ body: some Encodable,
        on stream: String,
        _ timeout: Duration?
    ) async throws(JetStreamError) -> StreamMessage? {
        try Self.validate(name: stream, of: "stream")
        let request = try APICoding.encode(body)
        let answer: NATSMessage
        do throws(NATSError) {
            answer = try await connection.request(
                request,
                to: "\(prefix).STREAM.MSG.GET.\(stream)",
                timeout: timeout ?? self.timeout,
                silence: Self.silence(timeout ?? self.timeout)
            )
        } catch {
            throw JetStreamError(error)
        }
        return try answer.payload.withUnsafeReadableBytes { bytes in
            Result { () throws(JetStreamError) in try StreamMessage.read(bytes) }
        }.get()
    }
}

private struct LastMessageRequest: Encodable {
    let last_by_subj: String
}

private struct NextMessageRequest: Encodable {
    let seq: UInt64
    let next_by_subj: String
}

extension StreamMessage {
    /// Reads the answer to a request for a message; `nil` when it says that there is none.
    static func read(_ answer: UnsafeRawBufferPointer) throws(JetStreamError) -> StreamMessage? {
        var reader = FlatJSONReader(answer)
        var inner: Range<Int>?
        var hasError = false
        if reader.beginObject() {
            while let member = reader.nextMember() {
                switch member.name {
                case "message": inner = member.value
                case "error": hasError = true
                default: break
                }
            }
        }
        if !hasError, reader.isComplete, let inner,
            let message = flat(UnsafeRawBufferPointer(rebasing: answer[inner]))
        {
            return message
        }
        return try decoded(answer)
    }

    /// Reads the ordinary answer, whose strings have no escapes.
    private static func flat(_ bytes: UnsafeRawBufferPointer) -> StreamMessage? {
        var reader = FlatJSONReader(bytes)
        var (subject, time): (String?, String?)
        var sequence: UInt64?
        var (headers, payload): ([UInt8]?, [UInt8]?) = ([], [])
        guard reader.beginObject() else { return nil }
        while let member = reader.nextMember() {
            switch member.name {
            case "subject": subject = reader.string(member.value)
            case "seq": sequence = reader.number(member.value)
            case "time": time = reader.string(member.value)
            case "hdrs": headers = base64(reader.string(member.value))
            case "data": payload = base64(reader.string(member.value))
            default: break
            }
        }
        guard reader.isComplete, let subject, let sequence, sequence > 0, let time, let headers, let payload else {
            return nil
        }
        return StreamMessage(subject: subject, sequence: sequence, time: time, headerBlock: headers, payload: payload)
    }

    private static func base64(_ text: String?) -> [UInt8]? {
        text.flatMap { Data(base64Encoded: $0) }.map { Array($0) }
    }

    /// Reads errors, and messages whose subjects JSON writes with escapes.
    private static func decoded(_ answer: UnsafeRawBufferPointer) throws(JetStreamError) -> StreamMessage? {
        struct Answer: Decodable {
            struct Message: Decodable {
                let subject: String
                let seq: UInt64
                let time: String
                let hdrs: Data?
                let data: Data?
            }
            let message: Message
        }
        do throws(JetStreamError) {
            let message = try APICoding.decodeAnswer(Answer.self, from: ByteBuffer(bytes: answer)).message
            return StreamMessage(
                subject: message.subject,
                sequence: message.seq,
                time: message.time,
                headerBlock: Array(message.hdrs ?? Data()),
                payload: Array(message.data ?? Data())
            )
        } catch {
            guard error.errorCode == .messageNotFound else { throw error }
            return nil
        }
    }
}
