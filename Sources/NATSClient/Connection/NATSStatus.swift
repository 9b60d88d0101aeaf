/// What happens to a connection, in order; see ``NATSConnection/statusUpdates()``.
public enum NATSStatus: Sendable {
    /// The connection is up for the first time.
    case connected(ServerAddress)
    /// The connection was lost; it is being restored. `unconfirmed` messages were written but not confirmed by the
    /// server: they may be lost.
    case disconnected(reason: NATSError, unconfirmed: Int)
    /// The connection is up again, its subscriptions restored.
    case reconnected(ServerAddress)
    /// An attempt to reconnect failed; the next one follows by itself.
    case reconnectFailed(ServerAddress, NATSError)
    /// The server is about to shut down; when it does, the connection moves to another one.
    case lameDuck(ServerAddress)
    /// The server reported an error that leaves the connection up, a forbidden subject for example.
    case serverError(NATSError)
    /// A subscription's buffer overflowed; counted once per overflow, not per message.
    case slowConsumer(subject: String)
    /// The connection has ended for good: `nil` after `close()` or `drain()`.
    case closed(NATSError?)
}
