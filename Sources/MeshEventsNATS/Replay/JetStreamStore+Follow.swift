public import MeshEvents
import NATSClient

extension JetStreamStore {
    /// Follows the stream with its own consumer, which ends with the follower; see ``/MeshEvents/StoreFollower``. A
    /// user who may not create consumers follows it message by message.
    ///
    /// A consumer can get lost with its server, its leader or the connection. Then it is replaced by one that begins
    /// directly behind the last delivery. A consumer that falls silent is noticed within a few seconds.
    ///
    /// - Throws: `invalidPattern`; `invalidArgument` for a sequence beyond the stream's next; `streamNotFound`,
    ///   `streamMismatch` when the stream does not take what matches, `persistenceUnavailable`, `permissionDenied`,
    ///   `timeout`, `closed`.
    public func follow(
        matching pattern: EventPattern,
        from start: StreamStart,
        timeout: Duration
    ) async throws(MeshEventsError) -> any StoreFollower {
        try pattern.validate()
        let deadline = ContinuousClock.now + timeout
        let stream = try await retrying(until: deadline) { deadline throws(JetStreamError) in
            try await covered(pattern, deadline)
        }
        var next: UInt64?
        var begin = ConsumerConfiguration.Start.all
        switch start {
        case .beginning: break
        case .time(let time): begin = .time(time.description)
        case .new: next = stream.state.lastSequence.nextSequence
        case .sequence(let sequence):
            next = max(sequence, 1)
            guard sequence <= stream.state.lastSequence.nextSequence else {
                throw StreamStart.beyond(sequence, last: stream.state.lastSequence)
            }
        }
        let matchesAll =
            pattern == .all && stream.configuration.subjects == [EventPattern.all.subject]
            && Self.matchesAll(pattern, of: stream)
        return try await reading(until: deadline) { deadline throws(JetStreamError) -> any StoreFollower in
            let follower = JetStreamFollower(
                store: self,
                pattern: pattern,
                start: begin,
                progress: FollowProgress(next: next, matchesAll: matchesAll),
                created: stream.creation
            )
            try await follower.beginSession(timeout: Self.remaining(deadline))
            follower.run()
            return follower
        } messages: { reader, deadline throws(JetStreamError) -> any StoreFollower in
            var isExact = true
            let first: UInt64
            if let next {
                first = next
            } else {
                isExact = false
                if case .time(let time) = start {
                    first = try await reader.sequence(at: time, in: stream, deadline: deadline)
                } else {
                    first = max(stream.state.firstSequence, 1)
                }
            }
            let follower = MessageFollower(
                store: self,
                pattern: pattern,
                progress: ReadingProgress(
                    next: first,
                    end: stream.state.lastSequence,
                    isExact: isExact,
                    matchesAll: matchesAll
                ),
                created: stream.creation
            )
            try await follower.listen(timeout: Self.remaining(deadline))
            return follower
        }
    }

    /// Throws `filterOutsideStream` unless the stream can hold everything that the pattern matches: servers from 2.10
    /// would silently find nothing, or wait.
    func checkCoverage(_ pattern: EventPattern, by stream: StreamInformation) throws(JetStreamError) {
        let subjects = stream.configuration.subjects
        // A stream that mirrors another one, or gathers from others, has no subjects of its own.
        let isCovered = subjects.isEmpty || subjects.contains { EventPattern.covers($0, pattern.subject) }
        guard isCovered else {
            throw JetStreamError(
                code: 400,
                errorCode: .filterOutsideStream,
                message: "the stream takes \(subjects.joined(separator: ", ")), which does not cover \(pattern)"
            )
        }
    }
}
