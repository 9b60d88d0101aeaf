import Logging
import MeshConcurrency
import MeshLogging

/// Reads the header fields of an event's message, verifies its signature, and decides whether the event is delivered.
final class SignatureCheck: Sendable {
    private let verification: SignatureVerification?
    private let logger: Logger
    private let limit = SharedRateLimit()

    init(_ verification: SignatureVerification?, logger: Logger) {
        self.verification = verification
        self.logger = logger
    }

    /// Whether events without header fields must be checked too.
    var checksAll: Bool { verification != nil }

    /// The event with its origin; `nil` when it is rejected.
    func admit(
        _ event: Event,
        _ headers: MessageHeaders,
        subject: UnsafeRawBufferPointer,
        payload: UnsafeRawBufferPointer
    ) -> Event? {
        var event = event
        guard let verification else {
            if !headers.isEmpty { event.origin = EventOrigin(headers: headers) }
            return event
        }
        let signature = verification.verifier.verify(
            headers[SignatureVerification.header],
            node: event.node,
            subject: subject.bytes,
            payload: payload.bytes
        )
        event.origin = EventOrigin(headers: headers, signature: signature)
        if signature.isTrusted || verification.policy == .accept { return event }
        let isRejected = verification.policy == .reject
        limit.admit { suppressed in
            logger.warning(
                isRejected ? "event rejected: it is not signed by its node" : "event not signed by its node",
                [
                    .subject: "\(event.subject.prefix(200))", .node: "\(event.node.prefix(200))",
                    .reason: "\(signature)", .unreported: "\(suppressed)",
                ]
            )
        }
        return isRejected ? nil : event
    }

    /// Admits an event from a stored message; `nil` when it is rejected.
    func admit(_ event: Event, _ message: StoredMessage) -> Event? {
        guard checksAll || !message.headers.isEmpty else { return event }
        var subject = message.subject
        return subject.withUTF8 { subject in
            message.payload.withUnsafeBytes { payload in
                admit(event, message.headers, subject: UnsafeRawBufferPointer(subject), payload: payload)
            }
        }
    }
}
