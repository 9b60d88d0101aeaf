/// What a ``StoreFollower`` finds in its stream, in the stream's order.
public enum FollowedItem: Sendable, Hashable {
    /// A message that matches.
    case message(StoredMessage)
    /// These sequences are no longer in the stream, and the follower has not read them.
    case lost(ClosedRange<UInt64>)
    /// All messages stored when following began have been handed over; comes once.
    case caughtUp
    /// The stream was created again or has lost messages; all its messages from the reset's sequence on follow.
    case reset(ReplayReset)
}

/// Follows a stream from a position on: the stored messages, then the new ones, in order and each once.
public protocol StoreFollower: AnyObject, Sendable {
    /// The next items, at least one; suspends until there are some.
    ///
    /// Does not leave the caller's actor. The follower fetches only a bounded amount ahead.
    ///
    /// - Returns: `nil` after ``cancel()``, and when the calling task is cancelled.
    /// - Throws: when it cannot continue: `closed`, `permissionDenied`, `streamNotFound`, `streamMismatch` …
    func next(isolation: isolated (any Actor)?) async throws(MeshEventsError) -> [FollowedItem]?

    /// Ends following: a waiting caller gets `nil`. Harmless when repeated.
    func cancel()

    /// Sets the function to call once when the stream has not answered for some seconds although the connection is up,
    /// with the reason, and once with `nil` when it answers again. Following goes on meanwhile.
    func whenTroubled(_ tell: @escaping @Sendable (MeshEventsError?) -> Void)
}

extension StoreFollower {
    /// Never calls the function: for a store that always answers, or whose follower throws.
    public func whenTroubled(_ tell: @escaping @Sendable (MeshEventsError?) -> Void) {}
}
