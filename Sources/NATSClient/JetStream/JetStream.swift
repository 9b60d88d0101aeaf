import NIOCore

/// JetStream of the server or cluster behind a connection: typed requests and answers of its API (`$JS.API.>`), for
/// every server from 2.9.
///
/// Every call has a deadline, and throws a ``JetStreamError``.
public final class JetStream: Sendable {
    /// The connection everything goes through.
    public let connection: NATSConnection
    /// What API subjects begin with, without the dot at the end: `$JS.API`, or `$JS.<domain>.API`.
    public let prefix: String
    /// How long the server may take for calls that name no other time, once it has the request. On the way, six times as
    /// long nothing may come or go on the connection: a link that is slow has time.
    public let timeout: Duration

    /// Creates access to JetStream; asks nothing yet.
    ///
    /// - Parameters:
    ///   - connection: the connection to ask over.
    ///   - domain: the JetStream domain to talk to; `nil` for the one that the connection is configured with, else that of
    ///     the server connected to.
    ///   - prefix: what API subjects begin with, without the dot at the end, where an account imports another's JetStream
    ///     under a name of its own; instead of `domain`.
    ///   - timeout: the deadline of calls that name none. Default 5 s.
    public init(
        connection: NATSConnection,
        domain: String? = nil,
        prefix: String? = nil,
        timeout: Duration = .seconds(5)
    ) {
        self.connection = connection
        self.prefix = prefix ?? domain.map { "$JS.\($0).API" } ?? connection.jetStreamPrefix ?? "$JS.API"
        self.timeout = timeout
    }

    /// What the account uses of JetStream: the cheapest way to learn whether it is there.
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

    /// Whether a message to this subject is one that readers of a stream send without waiting for an answer on a request's
    /// inbox: a pull request, an acknowledgement.
    static func isOwnMessage(_ subject: String) -> Bool {
        subject.hasPrefix("$JS.ACK.") || subject.contains(".CONSUMER.MSG.NEXT.")
    }

    /// How long nothing may come or go while nothing tells whether the server has a request: what lies in the buffers of
    /// a link looks as if it had left, and may be seconds away.
    static func silence(_ timeout: Duration) -> Duration { timeout * 6 }

    /// Throws `invalidArgument` unless the name can be a token of an API subject.
    static func validate(name: String, of what: String) throws(JetStreamError) {
        let isValid =
            !name.isEmpty
            && name.utf8.allSatisfy { byte in
                byte > 0x20 && byte != 0x7F && !".*>/\\".utf8.contains(byte)
            }
        guard isValid else {
            throw JetStreamError(
                .invalidArgument,
                "\(name.debugDescription) cannot be the name of a \(what): it must not be empty or hold white space, "
                    + "'.', '*', '>', '/' or '\\'"
            )
        }
    }
}

/// An answer that says only whether it worked.
struct SuccessAnswer: Decodable {
    let success: Bool
}
