import MeshConcurrency
public import MeshEvents

/// Follows a stream in memory: reads when the caller asks, and waits when there is nothing new.
final class InMemoryFollower: StoreFollower {
    /// How many messages one call reads at most.
    private static let batch = 512

    private struct State {
        var progress: ReadingProgress
        /// When the stream being followed was created.
        var created: Timestamp?
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
        from start: StreamStart,
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
            guard next <= found.lastSequence + 1 else { throw StreamStart.beyond(next, last: found.lastSequence) }
        }
        let isExact =
            switch start {
            case .sequence, .new: true
            case .beginning, .time: false
            }
        self.mesh = mesh
        self.streamName = streamName
        self.pattern = pattern
        let progress = ReadingProgress(
            next: next,
            end: found.lastSequence,
            isExact: isExact,
            matchesAll: EventPattern.covers(pattern.subject, EventPattern.all.subject)
        )
        state = Locked(State(progress: progress, created: found.created))
    }

    func cancel() {
        state.withLock { $0.isCancelled = true }
        mesh.storeWaiters.wakeAll()
    }

    func next(isolation: isolated (any Actor)?) async throws(MeshEventsError) -> [FollowedItem]? {
        while true {
            let generation = mesh.storeWaiters.generation
            if state.withLock({ $0.isCancelled }) || Task.isCancelled { return nil }
            let start = state.withLock { $0.progress.next }
            let found = mesh.withStreams { streams, now -> (StreamState, [StoredMessage])? in
                streams[streamName]?.expire(now)
                return streams[streamName].map { ($0.state, Array($0.kept(from: start).prefix(Self.batch))) }
            }
            guard let (stream, messages) = found else {
                throw MeshEventsError(.streamNotFound, "the stream \(streamName) does not exist any more")
            }
            let items = state.withLock { state in
                // Another reader may have taken them meanwhile.
                state.progress.next == start ? take(messages, stream, into: &state) : []
            }
            if !items.isEmpty { return items }
            // Waits only when there were no messages at all, matching or not.
            if messages.isEmpty { await mesh.storeWaiters.wait(after: generation, isolation: isolation) }
        }
    }

    private func take(_ messages: [StoredMessage], _ found: StreamState, into state: inout State) -> [FollowedItem] {
        let last = found.lastSequence
        let reset = ReplayReset(from: state.created, to: found.created, last: last, next: state.progress.next)
        if let reset {
            state.created = found.created
            state.progress.reset(next: reset.next, end: last)
            return [.reset(reset)]
        }
        // Fewer than were asked for: all up to the end were read, whatever a purge has removed.
        let reached = messages.count < Self.batch ? last + 1 : messages.last.map { $0.sequence + 1 }
        return state.progress.read(
            messages.filter { pattern.matches(subject: $0.subject) },
            reached: reached ?? state.progress.next,
            first: found.firstSequence
        )
    }
}

extension InMemoryStore {
    /// Follows the stream; see ``/MeshEvents/StoreFollower``.
    ///
    /// - Throws: `streamNotFound`, `invalidPattern`; `invalidArgument` for a sequence beyond the stream's next.
    public func follow(
        matching pattern: EventPattern,
        from start: StreamStart,
        timeout: Duration
    ) async throws(MeshEventsError) -> any StoreFollower {
        try pattern.validate()
        let stream = try read { $0 }
        return try InMemoryFollower(mesh, streamName, matching: pattern, from: start, in: stream)
    }
}
