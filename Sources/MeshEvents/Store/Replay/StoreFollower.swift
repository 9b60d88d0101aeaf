/// Where a replay begins.
public enum ReplayStart: Sendable, Hashable {
    /// With the oldest event that the stream still has.
    case beginning
    /// At this sequence. When the stream no longer has it, the replay begins with a gap; 0 means 1. One past the
    /// stream's last sequence is the next event to come; beyond that is `invalidArgument`.
    case sequence(UInt64)
    /// At the first event stored at this time or later; a time to come is `invalidArgument`.
    case time(Timestamp)
    /// With the first event that is stored after the replay was opened.
    case new
}

/// What a ``StoreFollower`` finds in its stream, in the stream's order.
public enum FollowedItem: Sendable, Hashable {
    /// A message that matches.
    case message(StoredMessage)
    /// These sequences are no longer in the stream, and the follower has not seen them.
    case lost(ClosedRange<UInt64>)
    /// All that was stored when following began has been handed over; comes once.
    case caughtUp
    /// The stream is another one, or has lost what it had; what follows is all that it has from the reset's sequence on.
    case reset(ReplayReset)
}

/// Follows a stream from a position on: what is stored, then what comes, in order and each message once.
public protocol StoreFollower: AnyObject, Sendable {
    /// The next items, at least one; suspends until there are some.
    ///
    /// Does not leave the caller's actor. What has not been asked for is not fetched beyond a bounded amount.
    ///
    /// - Returns: `nil` after ``cancel()``, and when the calling task is cancelled.
    /// - Throws: what makes going on impossible: `closed`, `permissionDenied`, `streamNotFound`, `streamMismatch` …
    func next(isolation: isolated (any Actor)?) async throws(MeshEventsError) -> [FollowedItem]?

    /// Ends it: whoever waits gets the end. Harmless when repeated.
    func cancel()
}

extension EventStore {
    /// Asks the store again and again: right for every store, fast for none.
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
    /// The sequence behind this one; of the last that 64 bits can hold, that one. An operator may let a stream begin
    /// anywhere (`first_seq`), and a server may answer anything.
    package var nextSequence: UInt64 { self == .max ? .max : self + 1 }
}

extension ReplayStart {
    /// The error about a sequence that the stream is far from.
    package static func beyond(_ sequence: UInt64, last: UInt64) -> MeshEventsError {
        MeshEventsError(
            .invalidArgument,
            "the stream ends at sequence \(last), a replay cannot begin at \(sequence); begin at \(last.nextSequence) for what "
                + "comes, and ask whether this is the stream you mean"
        )
    }
}
