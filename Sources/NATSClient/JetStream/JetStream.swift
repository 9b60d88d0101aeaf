import Foundation
import MessageGrammar
import NIOCore
import NIOFoundationCompat

/// JetStream on the server or cluster of a connection: typed requests and answers of its API (`$JS.API.>`), for every
/// server from 2.9.
///
/// Every call has a deadline, and throws a ``JetStreamError``.
public final class JetStream: Sendable {
    /// The connection that all requests use.
    public let connection: NATSConnection
    /// What API subjects begin with, without the dot at the end: `$JS.API`, or `$JS.<domain>.API`.
    public let prefix: String
    /// How long the server may take once it has the request, for calls that give no other time. While the request is on
    /// its way, the limit is six times as long without a byte on the connection: a slow link has time.
    public let timeout: Duration

    /// Creates access to JetStream; sends nothing yet.
    ///
    /// - Parameters:
    ///   - connection: the connection to ask over.
    ///   - domain: the JetStream domain to use; `nil` for the one of the connection's configuration, else that of the
    ///     server.
    ///   - prefix: what API subjects begin with, without the dot at the end, instead of `domain`: for an account that
    ///     imports another's JetStream under its own name.
    ///   - timeout: the deadline of calls that give none. Default 5 s.
    public init(
        connection: NATSConnection,
        domain: String? = nil,
        prefix: String? = nil,
        timeout: Duration = .seconds(5)
    ) {
        self.connection = connection
        self.prefix = prefix ?? domain.map(Self.prefix(ofDomain:)) ?? connection.jetStreamPrefix ?? "$JS.API"
        self.timeout = timeout
    }

    /// What API subjects begin with for the servers of a domain.
    package static func prefix(ofDomain domain: String) -> String { "$JS.\(domain).API" }

    /// What the account uses of JetStream: the cheapest way to learn whether JetStream is available.
    public func account(timeout: Duration? = nil) async throws(JetStreamError) -> JetStreamAccount {
        try await call("INFO", timeout: timeout)
    }

    /// Sends a request without a body and decodes the answer.
    func call<Answer: Decodable>(_ subject: String, timeout: Duration?) async throws(JetStreamError) -> Answer {
        try await call(subject, payload: ByteBuffer(), timeout: timeout)
    }

    /// Sends a request and decodes the answer.
    func call<Answer: Decodable>(
        _ subject: String,
        body: some Encodable,
        timeout: Duration?
    ) async throws(JetStreamError) -> Answer {
        try await call(subject, payload: APICoding.encode(body), timeout: timeout)
    }

    private func call<Answer: Decodable>(
        _ subject: String,
        payload: ByteBuffer,
        timeout: Duration?
    ) async throws(JetStreamError) -> Answer {
        let message: NATSMessage
        do throws(NATSError) {
            message = try await connection.request(
                payload,
                to: "\(prefix).\(subject)",
                timeout: timeout ?? self.timeout,
                silence: Self.silence(timeout ?? self.timeout)
            )
        } catch {
            throw JetStreamError(error)
        }
        return try APICoding.decodeAnswer(Answer.self, from: message.payload)
    }

    /// Whether a message to this subject is a pull request or an acknowledgement. Readers of a stream send those
    /// without waiting for an answer on a request's inbox.
    static func isOwnMessage(_ subject: String) -> Bool {
        subject.hasPrefix("$JS.ACK.") || subject.contains(".CONSUMER.MSG.NEXT.")
    }

    /// How long no byte may come or go while it is unknown whether the server has a request. Bytes in the buffers of a
    /// link look sent, and may be seconds away.
    static func silence(_ timeout: Duration) -> Duration { timeout * 6 }

    /// Throws `invalidArgument` unless the name can be a token of an API subject.
    static func validate(name: String, of what: String) throws(JetStreamError) {
        guard SubjectGrammar.isName(name) else {
            throw JetStreamError(
                .invalidArgument,
                "\(name.debugDescription) cannot be the name of a \(what): it must not be empty or hold white space, "
                    + "'.', '*', '>', '/' or '\\'"
            )
        }
    }
}

/// An answer that contains only whether the request succeeded.
struct SuccessAnswer: Decodable {
    let success: Bool
}

/// Any answer, decoded only for its error.
private struct Failure: Decodable { let error: JetStreamError.Answer? }

/// JSON of the API: requests with sorted members, answers that are either a value or an error.
enum APICoding {
    /// Encodes a request.
    static func encode(_ request: some Encodable) throws(JetStreamError) -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return ByteBuffer(data: try encoder.encode(request))
        } catch {
            throw JetStreamError(.invalidArgument, "the request cannot be written as JSON: \(error)")
        }
    }

    /// Decodes any JSON.
    static func decode<Value: Decodable>(_ type: Value.Type, from bytes: UnsafeRawBufferPointer) throws -> Value {
        try JSONDecoder().decode(type, from: Data(bytes))
    }

    /// Decodes an answer, or throws the error it carries.
    static func decodeAnswer<Value: Decodable>(
        _ type: Value.Type,
        from payload: ByteBuffer
    ) throws(JetStreamError) -> Value {
        let data = Data(buffer: payload)
        let decoder = JSONDecoder()
        if let failure = try? decoder.decode(Failure.self, from: data), let error = failure.error {
            throw error.error
        }
        do {
            return try decoder.decode(type, from: data)
        } catch {
            let text = String(decoding: data.prefix(100), as: UTF8.self)
            throw JetStreamError(
                .invalidAnswer,
                "the server's answer is not what the JetStream API describes: \(text.debugDescription)"
            )
        }
    }
}
