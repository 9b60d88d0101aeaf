import NIOCore

extension JetStream {
    /// What the reader of a message tells its consumer.
    public enum Acknowledgement: Sendable, Hashable {
        /// The message is handled.
        case done
        /// It is to be delivered again, after a time; zero for as soon as possible.
        case again(after: Duration = .zero)
        /// It is being handled: the consumer's `acknowledgementWait` begins anew.
        case inProgress
        /// It is not to be delivered again, though it is not handled. A reason needs a server from 2.10.4, which publishes
        /// it; an older one takes no notice of an acknowledgement with a reason.
        case terminate(reason: String? = nil)

        /// The protocol's command (NATS ADR-15); a delay needs a server from 2.7.
        package var text: String {
            switch self {
            case .done: "+ACK"
            case .again(let delay) where delay > .zero: "-NAK {\"delay\":\(delay.jetStreamNanoseconds)}"
            case .again: "-NAK"
            case .inProgress: "+WPI"
            case .terminate(let reason): reason.map { "+TERM \($0)" } ?? "+TERM"
            }
        }
    }

    /// Acknowledges a message without waiting: when it gets lost, the message is delivered again.
    ///
    /// - Throws: what publishing throws; nothing was sent then.
    public func acknowledge(
        _ message: JetStreamMessage,
        _ acknowledgement: Acknowledgement = .done
    ) throws(NATSError) {
        try connection.publish(ByteBuffer(string: acknowledgement.text), to: message.replyTo)
    }

    /// Acknowledges a message, and returns when the server has confirmed it: then it is not delivered again.
    ///
    /// - Parameters:
    ///   - message: the message.
    ///   - acknowledgement: what to tell the consumer.
    ///   - timeout: how long the server may take; `nil` for ``timeout``.
    /// - Throws: `timeout` when the confirmation did not come, what the connection throws.
    public func acknowledgeAndWait(
        _ message: JetStreamMessage,
        _ acknowledgement: Acknowledgement = .done,
        timeout: Duration? = nil
    ) async throws(JetStreamError) {
        do throws(NATSError) {
            _ = try await connection.request(
                ByteBuffer(string: acknowledgement.text),
                to: message.replyTo,
                timeout: timeout ?? self.timeout,
                silence: Self.silence(timeout ?? self.timeout)
            )
        } catch {
            throw JetStreamError(error)
        }
    }
}
