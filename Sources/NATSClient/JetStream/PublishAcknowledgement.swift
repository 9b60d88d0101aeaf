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
    public init(answer: UnsafeRawBufferPointer) throws(JetStreamError) {
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
