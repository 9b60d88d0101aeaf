/// Controls a subscription whose messages go to a ``NATSMessageReceiver``. It lives until it is cancelled or drained,
/// or the connection ends; releasing the handle changes nothing.
public final class NATSSubscriptionHandle: Sendable {
    /// The subject it was made with.
    public let subject: String
    private let sid: UInt64
    private let loop: ConnectionLoop

    init(subject: String, sid: UInt64, loop: ConnectionLoop) {
        self.subject = subject
        self.sid = sid
        self.loop = loop
    }

    /// Ends the subscription at once: no message is delivered after the receiver's `receiveEnd`. May be repeated.
    public func cancel() {
        loop.cancelSubscription(sid)
    }

    /// Ends the subscription by itself once `count` messages in all have been delivered, over reconnects too.
    public func unsubscribe(after count: UInt64) {
        loop.limitSubscription(sid, to: count)
    }

    /// Tells the server to send no more, receives what it has sent already, then ends.
    ///
    /// - Throws: `timeout` when the server does not answer in time (the subscription has ended all the same).
    public func drain(timeout: Duration = .seconds(10)) async throws(NATSError) {
        try await loop.drainSubscription(sid, timeout: timeout)
    }
}
