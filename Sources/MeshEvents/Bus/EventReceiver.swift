import Logging
import MeshLogging

/// Joins a transport, the decoder and a subscription: decodes in place, on the transport's thread, and hands over
/// whole chunks.
///
/// Unchecked, because the transport guarantees that it never calls a receiver concurrently.
final class EventReceiver: MessageReceiver, @unchecked Sendable {
    private let channel: SubscriptionChannel
    private let reporter: MalformedReporter
    private let admission: EventAdmission
    private let checksAll: Bool
    // Checking for overlapping accesses, twice a message, would cost as much as finding the event's type.
    @exclusivity(unchecked) private var decoder = EventDecoder()
    @exclusivity(unchecked) private var pending = EventChunk()

    init(channel: SubscriptionChannel, reporter: MalformedReporter, admission: EventAdmission) {
        self.channel = channel
        self.reporter = reporter
        self.admission = admission
        checksAll = admission.checksAll
    }

    func receive(_ message: IncomingMessage) {
        guard !channel.isCancelled else { return }
        do throws(MalformedEvent) {
            let event = try decoder.decode(subject: message.subject, payload: message.payload, received: .now)
            if checksAll || message.headers.count > 0 {
                admit(event, message)
            } else {
                pending.append(event, bytes: message.subject.count + message.payload.count)
            }
        } catch {
            channel.countMalformed()
            reporter.report(error)
            return
        }
        if pending.isFull { channel.offer(&pending) }
    }

    /// Admits an event whose header fields must be read: the rarer case.
    @inline(never)
    private func admit(_ event: Event, _ message: IncomingMessage) {
        let headers = MessageHeaders(block: message.headers)
        guard
            let event = admission.admit(event, headers, subject: message.subject, payload: message.payload)
        else { return channel.countRejected() }
        pending.append(event, bytes: message.subject.count + message.payload.count + message.headers.count)
    }

    func receiveBatchEnd() {
        guard !pending.isEmpty else { return }
        channel.offer(&pending)
    }

    func receiveEnd(_ error: MeshEventsError?) {
        receiveBatchEnd()
        channel.finish(error)
    }
}

/// Reports malformed events: writes a log line at most once a second, and calls ``EventBus/Configuration/onMalformed``.
final class MalformedReporter: Sendable {
    private let logger: Logger
    private let limit = SharedRateLimit()
    private let callback: (@Sendable (MalformedEvent) -> Void)?

    init(logger: Logger, callback: (@Sendable (MalformedEvent) -> Void)?) {
        self.logger = logger
        self.callback = callback
    }

    func report(_ malformed: MalformedEvent) {
        // The log gets no payload and only the beginning of the subject: the sender of both is not trusted.
        limit.admit { suppressed in
            logger.warning(
                "malformed event skipped",
                [
                    .subject: "\(malformed.subject.prefix(200))", .reason: "\(malformed.reason.prefix(200))",
                    .unreported: "\(suppressed)",
                ]
            )
        }
        callback?(malformed)
    }
}
