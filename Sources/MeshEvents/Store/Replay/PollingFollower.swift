import Locking

/// Follows any store by asking it for new messages repeatedly.
final class PollingFollower: StoreFollower {
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
        from start: ReplayStart,
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
                throw ReplayStart.beyond(next, last: found.lastSequence)
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
