import Locking

/// Follows any store by asking it for what is new.
final class PollingFollower: StoreFollower {
    /// How many messages one reading takes.
    private static let readSize = 512
    /// How long to wait before asking again when there was nothing.
    private static let interval: Duration = .milliseconds(50)

    private struct State {
        /// Everything below has been looked at.
        var next: UInt64
        /// The last sequence when following began; `nil` once that has been reached.
        var backlogEnd: UInt64?
        /// Whether what is missing before the first message counts.
        var expectsNext: Bool
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
        var expectsNext = true
        switch start {
        case .beginning:
            next = found.firstSequence
            expectsNext = false
        case .sequence(let sequence):
            next = max(sequence, 1)
            guard next <= found.lastSequence.nextSequence else {
                throw ReplayStart.beyond(next, last: found.lastSequence)
            }
        case .time(let time):
            let first = try await store.first(1, matching: .all, from: .time(time), timeout: timeout)
            next = first.first?.sequence ?? found.lastSequence.nextSequence
            expectsNext = false
        case .new:
            next = found.lastSequence.nextSequence
        }
        self.store = store
        self.pattern = pattern
        self.timeout = timeout
        state = Locked(State(next: next, backlogEnd: found.lastSequence, expectsNext: expectsNext))
    }

    func cancel() { state.withLock { $0.isCancelled = true } }

    func next(isolation: isolated (any Actor)?) async throws(MeshEventsError) -> [FollowedItem]? {
        while true {
            let (start, isCancelled) = state.withLock { ($0.next, $0.isCancelled) }
            if isCancelled || Task.isCancelled { return nil }
            let found = try await store.state()
            let messages = try await store.first(
                Self.readSize,
                matching: pattern,
                from: .sequence(start),
                timeout: timeout
            )
            let items = state.withLock { Self.take(messages, found, into: &$0) }
            if !items.isEmpty { return items }
            try? await Task.sleep(for: Self.interval)
        }
    }

    private static func take(
        _ messages: [StoredMessage],
        _ found: StreamState,
        into state: inout State
    ) -> [FollowedItem] {
        var items: [FollowedItem] = []
        if found.firstSequence > state.next {
            if state.expectsNext { items.append(.lost(state.next...found.firstSequence - 1)) }
            state.next = found.firstSequence
        }
        items += messages.map { .message($0) }
        if let last = messages.last { (state.next, state.expectsNext) = (last.sequence.nextSequence, true) }
        guard messages.count < readSize else { return items }
        // All that was there before the reading has been looked at.
        state.next = max(state.next, found.lastSequence.nextSequence)
        state.expectsNext = true
        if let end = state.backlogEnd, state.next > end {
            state.backlogEnd = nil
            items.append(.caughtUp)
        }
        return items
    }
}
