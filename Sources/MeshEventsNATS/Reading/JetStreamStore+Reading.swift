public import MeshEvents
import NATSClient
import Synchronization

extension JetStreamStore {
    /// The newest messages that match and lie below `before`, until there are `limit` of them or about `maximumBytes`
    /// bytes, oldest first. Messages that came before a connection was lost are kept, and reading goes on from there.
    ///
    /// When every message of the stream matches, the sequences show where to begin; otherwise counts of matches at a
    /// few sequences near the end do (`NewestSearch`). Counts only guide: messages that they left out are searched and
    /// read too (`ConsumerReader`). For a user who may not create consumers, it reads message by message
    /// (`MessageReader`).
    ///
    /// - Throws: `invalidArgument`, `invalidPattern`, `streamNotFound`, `streamReplaced`, `timeout`,
    ///   `persistenceUnavailable`, `permissionDenied`, `closed`.
    public func newest(
        _ limit: Int,
        maximumBytes: Int,
        matching pattern: EventPattern,
        before: UInt64?,
        timeout: Duration
    ) async throws(MeshEventsError) -> StoredPart {
        try check(limit, pattern)
        var backward = BackwardReading(limit: limit, maximumBytes: maximumBytes, before: before)
        var plan: ReadingPlan?
        repeat {
            // After each progress the full time is available again.
            let found = try await reading(until: .now + timeout) { deadline throws(JetStreamError) in
                let stream = try await covered(pattern, deadline)
                guard backward.look(at: state(of: stream)) else { return stream.creation }
                var reader = consumerReader(pattern, in: stream, timeout)
                defer { reader.discard() }
                try await reader.newest(&backward)
                return stream.creation
            } messages: { reader, deadline throws(JetStreamError) in
                let stream = try await covered(pattern, deadline)
                guard backward.look(at: state(of: stream)) else { return stream.creation }
                var kept = plan ?? ReadingPlan(backward.range, .newestFirst, of: stream, matching: pattern)
                kept.skip(below: stream.state.firstSequence)
                defer { plan = kept }
                try await reader.newest(&backward, &kept, matching: pattern, patience: timeout)
                return stream.creation
            }
            try StreamPosition.check(found, isOf: backward.created)
        } while !backward.isDone
        return backward.part
    }

    /// The first messages that match, from `start` on, until there are `limit` of them or `maximumBytes` bytes.
    /// Messages that came before a connection was lost are kept, and reading goes on from there.
    ///
    /// - Throws: as ``newest(_:maximumBytes:matching:before:timeout:)``.
    public func first(
        _ limit: Int,
        maximumBytes: Int,
        matching pattern: EventPattern,
        from start: StoredPart.Start,
        timeout: Duration
    ) async throws(MeshEventsError) -> StoredPart {
        try check(limit, pattern)
        var (found, bytes) = (StoredPart(), 0)
        var start = start
        var plan: ReadingPlan?
        while true {
            let (count, room) = (limit - found.messages.count, max(maximumBytes - bytes, 1))
            let part = try await part(count, room, &plan, matching: pattern, from: start, timeout: timeout)
            try StreamPosition.check(part.created, isOf: found.created)
            found.created = found.created ?? part.created
            found.firstSequence = found.firstSequence ?? part.firstSequence
            found.messages += part.messages
            found.isCutShort = part.isCutShort && found.messages.count < limit
            bytes += part.messages.reduce(0) { $0 + $1.payload.count }
            guard found.isCutShort, bytes < maximumBytes, let last = found.messages.last else { return found }
            start = .sequence(last.sequence.nextSequence)
        }
    }

    /// How many bytes have come and gone on the store's connection.
    public var movedBytes: UInt64 { jetStream.connection.movedBytes }

    /// Reads one part: through one consumer, or for a while without. In the second case messages read ahead stay in the
    /// plan.
    private func part(
        _ limit: Int,
        _ maximumBytes: Int,
        _ plan: inout ReadingPlan?,
        matching pattern: EventPattern,
        from start: StoredPart.Start,
        timeout: Duration
    ) async throws(MeshEventsError) -> StoredPart {
        let begin: ConsumerConfiguration.Start =
            switch start {
            case .sequence(let sequence): .sequence(sequence)
            case .time(let time): .time(time.description)
            }
        return try await reading(until: .now + timeout) { _ throws(JetStreamError) in
            let stream = try await covered(pattern, .now + timeout)
            let end = stream.state.lastSequence.nextSequence
            var reader = consumerReader(pattern, in: stream, timeout)
            defer { reader.discard() }
            var part = try await reader.first(limit, maximumBytes: maximumBytes, from: begin, before: end)
            part.created = stream.creation
            part.firstSequence = state(of: stream).firstSequence
            return part
        } messages: { reader, _ throws(JetStreamError) in
            let stream = try await covered(pattern, .now + timeout)
            let end = stream.state.lastSequence.nextSequence
            var kept: ReadingPlan
            if let plan, plan.end <= end {
                kept = plan
            } else {
                // There is no plan yet, or the stream has lost its end and uses those sequences again.
                let begin: UInt64 =
                    switch start {
                    case .sequence(let sequence): max(sequence, 1)
                    case .time(let time): try await reader.sequence(at: time, in: stream, deadline: .now + timeout)
                    }
                kept = ReadingPlan(begin..<max(begin, end), .oldestFirst, of: stream, matching: pattern)
            }
            kept.extend(to: end)
            kept.skip(below: stream.state.firstSequence)
            defer { plan = kept }
            try await reader.read(
                &kept,
                limit,
                maximumBytes: maximumBytes,
                matching: pattern,
                until: .now + timeout / 2,
                patience: timeout
            )
            let part = kept.take(limit)
            return StoredPart(
                messages: try StoredMessage.all(part.messages),
                isCutShort: !part.messages.isEmpty && part.reached < end,
                created: stream.creation,
                firstSequence: state(of: stream).firstSequence
            )
        }
    }

    /// Reads through consumers; or message by message, when this user may not create consumers or the stream allows no
    /// more.
    func reading<Answer>(
        until deadline: ContinuousClock.Instant,
        consumers: (ContinuousClock.Instant) async throws(JetStreamError) -> Answer,
        messages: (MessageReader, ContinuousClock.Instant) async throws(JetStreamError) -> Answer
    ) async throws(MeshEventsError) -> Answer {
        if !readsMessages.load(ordering: .relaxed) {
            do throws(MeshEventsError) {
                return try await retrying(until: deadline, consumers)
            } catch {
                if isForbiddenConsumer(error) {
                    readsMessages.store(true, ordering: .relaxed)
                } else if !Self.isLackOfConsumers(error) {
                    throw error
                }
            }
        }
        let reader = MessageReader(jetStream: jetStream, stream: streamName)
        return try await retrying(until: deadline) { deadline throws(JetStreamError) in
            try await messages(reader, deadline)
        }
    }

    private func isForbiddenConsumer(_ error: MeshEventsError) -> Bool {
        guard error.code == .permissionDenied, let subject = (error.underlying as? NATSError)?.subject else {
            return false
        }
        return subject.hasPrefix("\(jetStream.prefix).CONSUMER.CREATE.\(streamName)")
    }

    /// Whether the stream has all consumers it may have, or is a work queue, in which each message is for one consumer.
    private static func isLackOfConsumers(_ error: MeshEventsError) -> Bool {
        switch (error.underlying as? JetStreamError)?.errorCode {
        case .maximumConsumersReached?, .acknowledgementRequired?: true
        default: false
        }
    }

    /// Fetches the stream's information; throws unless the stream can hold everything that the pattern matches.
    func covered(
        _ pattern: EventPattern,
        _ deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> StreamInformation {
        let stream = try await jetStream.streamInfo(streamName, timeout: Self.remaining(deadline))
        try checkCoverage(pattern, by: stream)
        return stream
    }

    /// Makes a reader for one query.
    private func consumerReader(
        _ pattern: EventPattern,
        in stream: StreamInformation,
        _ patience: Duration
    ) -> ConsumerReader {
        ConsumerReader(
            jetStream: jetStream,
            stream: streamName,
            pattern: pattern,
            matchesAll: Self.matchesAll(pattern, of: stream),
            patience: patience
        )
    }

    /// Whether every message of the stream matches. Then consumers need no filter, which is much cheaper for servers
    /// before 2.10.
    static func matchesAll(_ pattern: EventPattern, of stream: StreamInformation) -> Bool {
        let (subjects, fields) = (stream.configuration.subjects, stream.configuration.fields)
        // Messages that a stream gathers from others may have any subject.
        guard fields["sources"] == nil, fields["mirror"] == nil else { return false }
        return !subjects.isEmpty && subjects.allSatisfy { EventPattern.covers(pattern.subject, $0) }
    }

    /// The time left for one request: at most the API's own timeout, so that a lost answer is noticed.
    static func remaining(_ deadline: ContinuousClock.Instant) -> Duration {
        max(min(deadline - .now, .seconds(5)), .milliseconds(1))
    }

    private func check(_ limit: Int, _ pattern: EventPattern) throws(MeshEventsError) {
        try pattern.validate()
        guard limit > 0 else {
            throw MeshEventsError(.invalidArgument, "the limit must be at least 1, not \(limit)")
        }
    }
}
