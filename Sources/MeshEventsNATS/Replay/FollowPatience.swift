import MeshEvents
import NATSClient

/// How long a follower tries again after errors: without end after those that can pass, for a while after others,
/// because a server that starts may not have its streams yet.
struct FollowPatience {
    private static let grace: Duration = .seconds(5)

    private var backoff = RetryBackoff(deadline: .now + .seconds(1 << 32))
    private var refusedSince: ContinuousClock.Instant?

    /// Waits before the next attempt; `false` when there must be none.
    mutating func bears(_ error: JetStreamError, _ store: JetStreamStore) async -> Bool {
        if await Self.isFinal(error, store) {
            let since = refusedSince ?? .now
            refusedSince = since
            let code = error.underlying?.code
            if .now - since >= Self.grace || code == .closed || code == .permissionDenied { return false }
        } else {
            refusedSince = nil
        }
        _ = await backoff.wait()
        return true
    }

    private static func isFinal(_ error: JetStreamError, _ store: JetStreamStore) async -> Bool {
        guard error.isNoResponders else { return !error.isRetriable && error.errorCode != .consumerNotFound }
        // Is there no leader at the moment, or no JetStream at all?
        return await store.jetStream.connection.serverInfo?.hasJetStream == false
    }

    /// The error with which a follower ends.
    static func explained(_ error: JetStreamError, stream: String) -> MeshEventsError {
        MeshEventsError(error, stream: stream)
    }
}
