public import MeshEvents
import NATSClient
import Synchronization

extension JetStreamStore {
    /// The newest `limit` messages that match and lie below `before`, oldest first.
    ///
    /// Counts matches at a few sequences near the end to learn where to begin (`NewestSearch`); never scans. A user who
    /// may not create consumers reads message by message instead (`MessageReader`).
    ///
    /// - Throws: `invalidArgument`, `invalidPattern`, `streamNotFound`, `timeout`, `persistenceUnavailable`,
    ///   `permissionDenied`, `closed`.
    public func newest(
        _ limit: Int,
        matching pattern: EventPattern,
        before: UInt64?,
        timeout: Duration
    ) async throws(MeshEventsError) -> [StoredMessage] {
        try check(limit, pattern)
        return try await reading(until: .now + timeout) { deadline throws(JetStreamError) in
            try await newest(limit, matching: pattern, before: before, deadline: deadline)
        } messages: { reader, deadline throws(JetStreamError) in
            let state = try await covered(pattern, deadline).state
            let end = min(before ?? .max, state.lastSequence == .max ? .max : state.lastSequence + 1)
            guard state.messages > 0, end > state.firstSequence else { return [] }
            return try await reader.newest(
                limit,
                matching: pattern,
                in: max(state.firstSequence, 1)..<end,
                deadline: deadline
            )
        }
    }

    /// The first `limit` messages that match, from `start` on, oldest first.
    ///
    /// - Throws: as ``newest(_:matching:before:timeout:)``.
    public func first(
        _ limit: Int,
        matching pattern: EventPattern,
        from start: StorePosition,
        timeout: Duration
    ) async throws(MeshEventsError) -> [StoredMessage] {
        try check(limit, pattern)
        let begin: ConsumerConfiguration.Start =
            switch start {
            case .sequence(let sequence): .sequence(sequence)
            case .time(let time): .time(time.description)
            }
        return try await reading(until: .now + timeout) { deadline throws(JetStreamError) in
            if !coversAllEvents.load(ordering: .relaxed) { _ = try await covered(pattern, deadline) }
            let consumer = try await reader(pattern, from: begin, deadline: deadline)
            defer { jetStream.discardConsumer(consumer.name, on: streamName) }
            let count = min(UInt64(limit), consumer.pending)
            return try await read(count, before: nil, from: consumer, deadline: deadline)
        } messages: { reader, deadline throws(JetStreamError) in
            let stream = try await covered(pattern, deadline)
            let begin: UInt64 =
                switch start {
                case .sequence(let sequence): max(sequence, 1)
                case .time(let time): try await reader.sequence(at: time, in: stream, deadline: deadline)
                }
            let end = stream.state.lastSequence.nextSequence
            guard begin < end else { return [] }
            return try await reader.read(limit, matching: pattern, in: begin..<end, deadline: deadline).messages
        }
    }

    /// Reads through consumers, or message by message when the server forbids this user to create any.
    func reading<Answer>(
        until deadline: ContinuousClock.Instant,
        consumers: (ContinuousClock.Instant) async throws(JetStreamError) -> Answer,
        messages: (MessageReader, ContinuousClock.Instant) async throws(JetStreamError) -> Answer
    ) async throws(MeshEventsError) -> Answer {
        if !readsMessages.load(ordering: .relaxed) {
            do throws(MeshEventsError) {
                return try await retrying(until: deadline, consumers)
            } catch {
                guard isRefusedConsumer(error) else { throw error }
                readsMessages.store(true, ordering: .relaxed)
            }
        }
        let reader = MessageReader(jetStream: jetStream, stream: streamName)
        return try await retrying(until: deadline) { deadline throws(JetStreamError) in
            try await messages(reader, deadline)
        }
    }

    private func isRefusedConsumer(_ error: MeshEventsError) -> Bool {
        guard error.code == .permissionDenied, let subject = (error.underlying as? NATSError)?.subject else {
            return false
        }
        return subject.hasPrefix("\(jetStream.prefix).CONSUMER.CREATE.\(streamName)")
    }

    /// The stream, when all that a pattern matches can be in it.
    func covered(
        _ pattern: EventPattern,
        _ deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> StreamInformation {
        let stream = try await jetStream.streamInfo(streamName, timeout: Self.remaining(deadline))
        try checkCoverage(pattern, by: stream)
        return stream
    }

    private func newest(
        _ limit: Int,
        matching pattern: EventPattern,
        before: UInt64?,
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> [StoredMessage] {
        let state = try await covered(pattern, deadline).state
        guard state.messages > 0 else { return [] }
        var messages: [StoredMessage] = []
        var upper = before
        while true {
            let search = NewestSearch(
                limit: limit - messages.count,
                first: state.firstSequence,
                last: state.lastSequence,
                before: upper,
                isFiltered: pattern != .all
            )
            let (found, start) = try await run(search, matching: pattern, deadline: deadline)
            messages = found + messages
            // Counts are answers of their moment: when messages came or went meanwhile, there may be more further back.
            guard messages.count < limit, start > state.firstSequence, start < upper ?? .max else { return messages }
            upper = start
        }
    }

    /// Searches where to begin, and reads from there.
    private func run(
        _ search: NewestSearch,
        matching pattern: EventPattern,
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> (messages: [StoredMessage], start: UInt64) {
        var search = search
        var consumers: [UInt64: ConsumerInformation] = [:]
        defer { for consumer in consumers.values { jetStream.discardConsumer(consumer.name, on: streamName) } }
        while true {
            switch search.next() {
            case .probe(let starts):
                for (start, consumer) in try await readers(pattern, from: starts, deadline: deadline) {
                    consumers[start] = consumer
                    search.answer(start: start, matching: consumer.pending)
                }
            case .read(let start):
                // The probe that found the place can read from it.
                if consumers[start] == nil {
                    consumers[start] = try await reader(pattern, from: .sequence(start), deadline: deadline)
                }
                guard let consumer = consumers[start] else { return ([], start) }
                let bound = search.isEndFixed ? search.end : nil
                let beyond = min(search.beyond ?? 0, consumer.pending)
                let count = min(consumer.pending - beyond, bound.map { $0 - start } ?? .max)
                let found = try await read(count, before: bound, from: consumer, deadline: deadline)
                return (found.suffix(Int(clamping: search.limit)), start)
            }
        }
    }

    /// Consumers at several places, created at once.
    private func readers(
        _ pattern: EventPattern,
        from starts: [UInt64],
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> [(UInt64, ConsumerInformation)] {
        guard starts.count > 1 else {
            guard let start = starts.first else { return [] }
            return [(start, try await reader(pattern, from: .sequence(start), deadline: deadline))]
        }
        let results = await withTaskGroup(of: (UInt64, Result<ConsumerInformation, JetStreamError>).self) { group in
            for start in starts {
                group.addTask {
                    do throws(JetStreamError) {
                        return (
                            start, .success(try await self.reader(pattern, from: .sequence(start), deadline: deadline))
                        )
                    } catch {
                        return (start, .failure(error))
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        var consumers: [(UInt64, ConsumerInformation)] = []
        for (start, result) in results { consumers.append((start, try result.get())) }
        return consumers
    }

    private func reader(
        _ pattern: EventPattern,
        from start: ConsumerConfiguration.Start,
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> ConsumerInformation {
        try await jetStream.createConsumer(
            .reader(start: start, filterSubjects: [pattern.subject]),
            on: streamName,
            timeout: Self.remaining(deadline)
        )
    }

    private func read(
        _ count: UInt64,
        before: UInt64?,
        from consumer: ConsumerInformation,
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> [StoredMessage] {
        guard count > 0 else { return [] }
        return try await jetStream.read(
            Int(clamping: count),
            before: before,
            from: consumer.name,
            on: streamName,
            deadline: deadline
        ) { message in
            StoredMessage(
                subject: String(decoding: message.subject, as: UTF8.self),
                payload: Array(message.payload),
                sequence: message.position.streamSequence,
                storedAt: Timestamp(nanosecondsSinceEpoch: message.position.timestamp),
                headers: MessageHeaders(block: message.headers)
            )
        }
    }

    /// What is left for one request: at most the API's own timeout, so that a lost answer is noticed.
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
