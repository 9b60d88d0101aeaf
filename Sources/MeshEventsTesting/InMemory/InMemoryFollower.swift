import Locking
public import MeshEvents

/// Follows a stream in memory: reads when the caller asks, and waits when there is nothing new.
final class InMemoryFollower: StoreFollower {
    /// How many messages one call reads at most.
    private static let batch = 512

    private struct State {
        /// All messages below this have been read.
        var next: UInt64
        /// When the stream being followed was created.
        var created: Timestamp?
        /// Whether messages dropped before the first reading count as lost.
        var expectsNext: Bool
        /// The last sequence when following began; `nil` once it has been reached.
        var backlogEnd: UInt64?
        var isCancelled = false
    }

    private let mesh: InMemoryMesh
    private let streamName: String
    private let pattern: EventPattern
    private let state: Locked<State>

    init(
        _ mesh: InMemoryMesh,
        _ streamName: String,
        matching pattern: EventPattern,
        from start: ReplayStart,
        in stream: InMemoryStream
    ) throws(MeshEventsError) {
        let found = stream.state
        let next: UInt64
        switch start {
        case .beginning: next = found.firstSequence
        case .time(let time):
            next = stream.kept.first { $0.storedAt >= time }?.sequence ?? found.lastSequence + 1
        case .new: next = found.lastSequence + 1
        case .sequence(let sequence):
            next = max(sequence, 1)
            guard next <= found.lastSequence + 1 else { throw ReplayStart.beyond(next, last: found.lastSequence) }
        }
        let isExact =
            switch start {
            case .sequence, .new: true
            case .beginning, .time: false
            }
        self.mesh = mesh
        self.streamName = streamName
        self.pattern = pattern
        state = Locked(State(next: next, created: found.created, expectsNext: isExact, backlogEnd: found.lastSequence))
    }

    func cancel() {
        state.withLock { $0.isCancelled = true }
        mesh.storeWaiters.wakeAll()
    }

    func next(isolation: isolated (any Actor)?) async throws(MeshEventsError) -> [FollowedItem]? {
        while true {
            let generation = mesh.storeWaiters.generation
            if state.withLock({ $0.isCancelled }) || Task.isCancelled { return nil }
            let start = state.withLock { $0.next }
            let found = mesh.withStreams { streams, now -> (StreamState, [StoredMessage])? in
                streams[streamName]?.expire(now)
                return streams[streamName].map { ($0.state, Array($0.kept(from: start).prefix(Self.batch))) }
            }
            guard let (stream, messages) = found else {
                throw MeshEventsError(.streamNotFound, "the stream \(streamName) does not exist any more")
            }
            let items = state.withLock { state in
                // Another reader may have taken them meanwhile.
                state.next == start ? take(messages, stream, into: &state) : []
            }
            if !items.isEmpty { return items }
            // Waits only when there were no messages at all, matching or not.
            if messages.isEmpty { await mesh.storeWaiters.wait(after: generation, isolation: isolation) }
        }
    }

    private func take(_ messages: [StoredMessage], _ found: StreamState, into state: inout State) -> [FollowedItem] {
        let reset = ReplayReset(from: state.created, to: found.created, last: found.lastSequence, next: state.next)
        if let reset {
            (state.created, state.next, state.expectsNext) = (found.created, reset.next, true)
            if state.backlogEnd != nil { state.backlogEnd = found.lastSequence }
            return [.reset(reset)]
        }
        var items: [FollowedItem] = []
        if found.firstSequence > state.next {
            if state.expectsNext { items.append(.lost(state.next...found.firstSequence - 1)) }
            state.next = found.firstSequence
        }
        state.expectsNext = true
        func passBacklog() {
            guard let end = state.backlogEnd, state.next > end else { return }
            state.backlogEnd = nil
            items.append(.caughtUp)
        }
        passBacklog()
        for message in messages {
            if pattern.matches(subject: message.subject) { items.append(.message(message)) }
            state.next = message.sequence + 1
            passBacklog()
        }
        return items
    }
}

extension InMemoryStore {
    /// Follows the stream; see ``/MeshEvents/StoreFollower``.
    ///
    /// - Throws: `streamNotFound`, `invalidPattern`; `invalidArgument` for a sequence beyond the stream's next.
    public func follow(
        matching pattern: EventPattern,
        from start: ReplayStart,
        timeout: Duration
    ) async throws(MeshEventsError) -> any StoreFollower {
        try pattern.validate()
        let stream = try read { $0 }
        return try InMemoryFollower(mesh, streamName, matching: pattern, from: start, in: stream)
    }
}
