/// Where a replay begins.
public enum ReplayStart: Sendable, Hashable {
    /// With the oldest event that the stream still has.
    case beginning
    /// At this sequence. When the stream no longer has it, the replay begins with a gap; 0 means 1. One past the
    /// stream's last sequence is the next event to come; beyond that is `invalidArgument`.
    case sequence(UInt64)
    /// At the first event stored at this time or later; a time in the future is `invalidArgument`.
    case time(Timestamp)
    /// With the first event that is stored after the replay was opened.
    case new
}

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
}

extension EventStore {
    /// Follows the stream by polling: it works with every store, but slowly.
    public func follow(
        matching pattern: EventPattern,
        from start: ReplayStart,
        timeout: Duration
    ) async throws(MeshEventsError) -> any StoreFollower {
        try pattern.validate()
        return try await PollingFollower(self, matching: pattern, from: start, timeout: timeout)
    }
}

extension UInt64 {
    /// The sequence after this one; the largest 64-bit number gives itself. It must not overflow: an operator may
    /// choose any first sequence (`first_seq`), and a server may answer any number.
    package var nextSequence: UInt64 { self == .max ? .max : self + 1 }
}

extension ReplayStart {
    /// The error for a start beyond the stream's next sequence.
    package static func beyond(_ sequence: UInt64, last: UInt64) -> MeshEventsError {
        MeshEventsError(
            .invalidArgument,
            "the stream ends at sequence \(last), a replay cannot begin at \(sequence); begin at \(last.nextSequence) "
                + "for new events, and check that this is the right stream"
        )
    }
}
