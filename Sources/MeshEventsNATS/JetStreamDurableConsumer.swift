import MeshEvents
import NATSClient
import NIOCore

/// One subscriber of a durable pull consumer.
final class JetStreamDurableConsumer: DurableConsumer {
    /// How long one attempt to answer waits for the confirmation.
    private static let attemptTimeout: Duration = .seconds(2)
    /// How long a request that does not wait may take.
    private static let requestTimeout: Duration = .seconds(5)

    private let jetStream: JetStream
    private let streamName: String
    private let name: String

    init(jetStream: JetStream, streamName: String, name: String) {
        self.jetStream = jetStream
        self.streamName = streamName
        self.name = name
    }

    static func missing(_ name: String) -> MeshEventsError {
        MeshEventsError(.durableNotFound, "the durable \(name) does not exist; it may have been deleted")
    }

    func fetch(_ limit: Int, wait: Duration) async throws(MeshEventsError) -> [DurableMessage] {
        let waits = wait > .zero
        do throws(JetStreamError) {
            let request = PullRequest(batch: limit, expires: waits ? wait : nil, noWait: !waits)
            let messages = try await jetStream.fetch(
                request,
                from: name,
                on: streamName,
                timeout: waits ? wait : Self.requestTimeout
            )
            return messages.map(Self.message)
        } catch {
            guard error.kind == .consumerLost, !Task.isCancelled else {
                throw MeshEventsError(error, stream: streamName)
            }
            // Lost with its connection, or for good.
            do throws(JetStreamError) {
                _ = try await jetStream.consumerInfo(name, on: streamName, timeout: Self.attemptTimeout)
            } catch  where error.errorCode == .consumerNotFound {
                throw Self.missing(name)
            } catch {
                throw MeshEventsError(error, stream: streamName)
            }
            throw MeshEventsError(error, stream: streamName)
        }
    }

    /// Sends an answer as a request: the server says that it has it. An answer without a word back may have been lost
    /// with its connection.
    func answer(
        _ message: DurableMessage,
        _ answer: DurableAnswer,
        deadline: Duration
    ) async throws(MeshEventsError) {
        let end = ContinuousClock.now + deadline
        let payload = ByteBuffer(string: Self.text(answer))
        var backoff = RetryBackoff(deadline: end)
        while true {
            do throws(NATSError) {
                _ = try await jetStream.connection.request(
                    payload,
                    to: message.token,
                    timeout: max(min(Self.attemptTimeout, end - .now), .milliseconds(1))
                )
                return
            } catch {
                switch error.code {
                case .closed, .cancelled, .permissionDenied: throw MeshEventsError(error)
                default: break
                }
                guard await backoff.wait() else {
                    throw MeshEventsError(
                        .timeout,
                        "stream \(streamName) did not confirm the answer to event \(message.stored.sequence) within "
                            + "\(deadline); the event may come again",
                        underlying: error,
                        isRetriable: true
                    )
                }
            }
        }
    }

    func extend(_ message: DurableMessage) {
        try? jetStream.connection.publish(ByteBuffer(string: Self.text(.inProgress)), to: message.token)
    }

    /// The protocol's words (NATS ADR-15); a delay needs a server from 2.7.
    private static func text(_ answer: DurableAnswer) -> String {
        switch answer {
        case .acknowledge: "+ACK"
        case .redeliver(let delay) where delay > .zero: "-NAK {\"delay\":\(nanoseconds(delay))}"
        case .redeliver: "-NAK"
        case .inProgress: "+WPI"
        case .terminate: "+TERM"
        }
    }

    private static func nanoseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : product &+ attoseconds / 1_000_000_000
    }

    private static func message(_ message: JetStreamMessage) -> DurableMessage {
        DurableMessage(
            stored: StoredMessage(
                subject: message.subject,
                payload: Array(message.payload.readableBytesView),
                sequence: message.position.streamSequence,
                storedAt: Timestamp(nanosecondsSinceEpoch: message.position.timestamp)
            ),
            deliveries: Int(clamping: message.position.deliveries),
            token: message.replyTo
        )
    }
}
