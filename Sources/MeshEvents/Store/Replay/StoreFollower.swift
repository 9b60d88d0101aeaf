import MeshConcurrency

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

extension EventStore {
    /// Follows the stream by polling: it works with every store, but slowly.
    public func follow(
        matching pattern: EventPattern,
        from start: StreamStart,
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

extension StreamStart {
    /// The error for a start beyond the stream's next sequence.
    package static func beyond(_ sequence: UInt64, last: UInt64) -> MeshEventsError {
        MeshEventsError(
            .invalidArgument,
            "the stream ends at sequence \(last), a replay cannot begin at \(sequence); begin at \(last.nextSequence) "
                + "for new events, and check that this is the right stream"
        )
    }
}

/// Follows any store by asking it for new messages repeatedly.
private final class PollingFollower: StoreFollower {
    /// How many messages one reading takes.
    private static let readSize = 512
    /// How long to wait before the next request when there was nothing new.
    private static let interval: Duration = .milliseconds(50)

    private struct State {
        var progress: ReadingProgress
        /// The stream's last sequence before the next reading.
        var knownEnd: UInt64
        /// When the stream was created.
        var created: Timestamp?
        var isCancelled = false
    }

    private let store: any EventStore
    private let pattern: EventPattern
    private let timeout: Duration
    private let state: Locked<State>

    init(
        _ store: any EventStore,
        matching pattern: EventPattern,
        from start: StreamStart,
        timeout: Duration
    ) async throws(MeshEventsError) {
        let found = try await store.state()
        let next: UInt64
        var isExact = true
        switch start {
        case .beginning:
            next = found.firstSequence
            isExact = false
        case .sequence(let sequence):
            next = max(sequence, 1)
            guard next <= found.lastSequence.nextSequence else {
                throw StreamStart.beyond(next, last: found.lastSequence)
            }
        case .time(let time):
            let first = try await store.first(1, matching: .all, from: .time(time), timeout: timeout)
            next = first.first?.sequence ?? found.lastSequence.nextSequence
            isExact = false
        case .new:
            next = found.lastSequence.nextSequence
        }
        self.store = store
        self.pattern = pattern
        self.timeout = timeout
        let progress = ReadingProgress(
            next: next,
            end: found.lastSequence,
            isExact: isExact,
            matchesAll: pattern == .all
        )
        state = Locked(State(progress: progress, knownEnd: found.lastSequence, created: found.created))
    }

    func cancel() { state.withLock { $0.isCancelled = true } }

    func next(isolation: isolated (any Actor)?) async throws(MeshEventsError) -> [FollowedItem]? {
        while true {
            let (start, isCancelled, isCaughtUp) = state.withLock { state in
                (state.progress.next, state.isCancelled, state.progress.takeCaughtUp())
            }
            if isCancelled || Task.isCancelled { return nil }
            if isCaughtUp { return [.caughtUp] }
            let messages = try await store.first(
                Self.readSize,
                matching: pattern,
                from: .sequence(start),
                timeout: timeout
            )
            // Asks after the reading: the stream's first sequence then shows which messages were dropped before they
            // were read.
            let found = try await store.state()
            let items = state.withLock { state -> [FollowedItem] in
                // The messages read may belong to the new stream.
                if let reset = reset(found, state) {
                    state.created = found.created
                    state.knownEnd = found.lastSequence
                    state.progress.reset(next: reset.next, end: found.lastSequence)
                    return [.reset(reset)]
                }
                // A reading that returned fewer messages than its limit has covered everything stored before it.
                let isFull = messages.count >= Self.readSize
                let read = messages.last?.sequence.nextSequence ?? start
                let reached = isFull ? read : max(read, state.knownEnd.nextSequence)
                state.knownEnd = found.lastSequence
                return state.progress.read(messages, reached: reached, first: found.firstSequence)
            }
            if !items.isEmpty { return items }
            try? await Task.sleep(for: Self.interval)
        }
    }

    private func reset(_ found: StreamState, _ state: State) -> ReplayReset? {
        ReplayReset(from: state.created, to: found.created, last: found.lastSequence, next: state.progress.next)
    }
}
