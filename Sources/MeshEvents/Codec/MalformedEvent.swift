import MeshLogging

/// A message on an event's subject that is not an event.
public struct MalformedEvent: Error, Sendable, Hashable, CustomStringConvertible {
    /// How much of the payload is kept, in bytes.
    public static let maximumPrefix = 256

    /// The message's subject; bytes that are not UTF-8 show as U+FFFD.
    public let subject: String
    /// What is wrong with it.
    public let reason: String
    /// The beginning of the payload, at most ``maximumPrefix`` bytes.
    public let payloadPrefix: [UInt8]
    /// The size of the whole payload, in bytes.
    public let payloadCount: Int

    /// Creates the report on a message.
    package init(subject: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer, reason: String) {
        self.subject = String(decoding: subject, as: UTF8.self)
        self.reason = reason
        payloadPrefix = Array(payload.prefix(Self.maximumPrefix))
        payloadCount = payload.count
    }

    /// The subject and the reason, without the payload.
    public var description: String {
        "malformed event on \(SubjectRules.quoted(subject)) (\(payloadCount) bytes): \(reason)".harmless
    }
}
