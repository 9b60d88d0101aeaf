import NIOCore

extension JetStream {
    /// Sends one pull request and returns at once. Messages and statuses arrive at `inbox`, which the caller has
    /// subscribed to.
    ///
    /// - Throws: `connection` when the connection is closed or its outbound buffer full; nothing was sent then.
    public func sendPull(
        _ request: PullRequest,
        to consumer: String,
        on stream: String,
        inbox: String
    ) throws(JetStreamError) {
        guard request.batch > 0 else {
            throw JetStreamError(.invalidArgument, "a pull request asks for at least one message")
        }
        try Self.validate(name: stream, of: "stream")
        try Self.validate(name: consumer, of: "consumer")
        do throws(NATSError) {
            try connection.publish(
                ByteBuffer(string: request.json),
                to: "\(prefix).CONSUMER.MSG.NEXT.\(stream).\(consumer)",
                replyTo: inbox
            )
        } catch {
            throw JetStreamError(error)
        }
    }
}
