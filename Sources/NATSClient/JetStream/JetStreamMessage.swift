import MessageGrammar
public import NIOCore

/// A message of a stream in place: its bytes are valid only during the receiver's call. So it cannot be kept;
/// ``JetStreamMessage/init(_:)`` makes a copy that can.
public struct JetStreamMessageView: ~Escapable {
    package let subjectBytes: UnsafeRawBufferPointer
    package let headerBytes: UnsafeRawBufferPointer
    package let payloadBytes: UnsafeRawBufferPointer
    package let replyToBytes: UnsafeRawBufferPointer
    /// Where it lies in the stream.
    public let position: AcknowledgementSubject

    @_lifetime(copy message)
    init(_ message: NATSMessageView, position: AcknowledgementSubject) {
        subjectBytes = message.subjectBytes
        headerBytes = message.headerBytes
        payloadBytes = message.payloadBytes
        replyToBytes = message.replyToBytes
        self.position = position
    }

    /// The subject it was sent to.
    public var subject: RawSpan { @_lifetime(copy self) get { _overrideLifetime(subjectBytes.bytes, copying: self) } }
    /// The raw header block; empty when there is none.
    public var headers: RawSpan { @_lifetime(copy self) get { _overrideLifetime(headerBytes.bytes, copying: self) } }
    /// The payload.
    public var payload: RawSpan { @_lifetime(copy self) get { _overrideLifetime(payloadBytes.bytes, copying: self) } }
    /// The subject that acknowledges it.
    public var replyTo: RawSpan { @_lifetime(copy self) get { _overrideLifetime(replyToBytes.bytes, copying: self) } }

    /// The message id it was published with; `nil` without one.
    package var messageID: String? { HeaderBlock(bytes: headerBytes).fields()["Nats-Msg-Id"] }
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
        subject = String(decoding: view.subjectBytes, as: UTF8.self)
        headers = view.headerBytes.isEmpty ? [:] : HeaderBlock(bytes: view.headerBytes).fields()
        payload = ByteBuffer(bytes: view.payloadBytes)
        replyTo = String(decoding: view.replyToBytes, as: UTF8.self)
        position = view.position
    }
}

/// The contents of a delivered message's reply subject (NATS ADR-15): where the message lies in the stream, and how
/// many more match.
///
/// It has nine tokens, `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<ns>.<pending>`, or eleven
/// and more, with domain and account hash after `ACK` and possibly further tokens at the end.
public struct AcknowledgementSubject: Sendable, Hashable {
    /// How often the message was delivered, this time included: 1 the first time.
    public let deliveries: UInt64
    /// The sequence in the stream, from 1.
    public let streamSequence: UInt64
    /// The number of this delivery of the consumer, from 1.
    public let consumerSequence: UInt64
    /// When the stream stored it: nanoseconds since the Unix epoch.
    public let timestamp: Int64
    /// How many messages match and come after this one.
    public let pending: UInt64
    /// Where the stream's name lies in the subject's bytes.
    let streamRange: Range<Int>
    /// Where the consumer's name lies in the subject's bytes.
    let consumerRange: Range<Int>

    /// Reads a reply subject; `nil` when it is not an acknowledgement subject. Does not allocate.
    public init?(_ subject: RawSpan) {
        let parsed = subject.withUnsafeBytes { AcknowledgementSubject($0) }
        guard let parsed else { return nil }
        self = parsed
    }

    package init?(_ subject: UnsafeRawBufferPointer) {
        guard let kind = Self.kind(of: subject) else { return nil }
        var tokens = TokenReader(bytes: subject, position: Self.prefixLength)
        if kind == .long {
            guard tokens.next() != nil, tokens.next() != nil else { return nil }
        }
        guard
            let stream = tokens.next(), let consumer = tokens.next(),
            let deliveries = tokens.nextNumber(), let streamSequence = tokens.nextNumber(),
            let consumerSequence = tokens.nextNumber(), let timestamp = tokens.nextNumber(),
            let pending = tokens.nextNumber(), let time = Int64(exactly: timestamp)
        else { return nil }
        self.deliveries = deliveries
        self.streamSequence = streamSequence
        self.consumerSequence = consumerSequence
        self.timestamp = time
        self.pending = pending
        self.streamRange = stream
        self.consumerRange = consumer
    }

    /// Reads a reply subject; `nil` when it is not an acknowledgement subject.
    public init?(_ subject: String) {
        var subject = subject
        let parsed = subject.withUTF8 { AcknowledgementSubject(UnsafeRawBufferPointer($0)) }
        guard let parsed else { return nil }
        self = parsed
    }

    /// The names of stream and consumer in the subject this was read from.
    public func names(in subject: String) -> (stream: String, consumer: String) {
        let bytes = Array(subject.utf8)
        guard consumerRange.upperBound <= bytes.count else { return ("", "") }
        return (
            String(decoding: bytes[streamRange], as: UTF8.self), String(decoding: bytes[consumerRange], as: UTF8.self)
        )
    }

    private enum Kind { case short, long }
    private static let prefixLength = 8  // "$JS.ACK."

    private static func kind(of subject: UnsafeRawBufferPointer) -> Kind? {
        guard subject.count > prefixLength, subject[..<prefixLength].elementsEqual("$JS.ACK.".utf8) else { return nil }
        var dots = 2
        for byte in subject[prefixLength...] where byte == 0x2E { dots += 1 }
        switch dots {
        case 8: return .short
        case 10...: return .long
        default: return nil
        }
    }
}

/// Reads dot-separated tokens of a subject, without copying.
private struct TokenReader {
    let bytes: UnsafeRawBufferPointer
    var position: Int

    /// The range of the next token; `nil` when there is none or it is empty.
    mutating func next() -> Range<Int>? {
        let start = position
        while position < bytes.count, bytes[position] != 0x2E { position += 1 }
        let end = position
        position += 1
        return end > start ? start..<end : nil
    }

    /// The next token as a decimal number; `nil` when it is none or exceeds 64 bits.
    mutating func nextNumber() -> UInt64? {
        guard let range = next() else { return nil }
        var value: UInt64 = 0
        for byte in bytes[range] {
            guard byte >= 0x30, byte <= 0x39 else { return nil }
            let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, sumOverflow) = scaled.addingReportingOverflow(UInt64(byte &- 0x30))
            guard !overflow, !sumOverflow else { return nil }
            value = sum
        }
        return value
    }
}
