import MeshEvents
import NATSClient

/// Reads a stream for one query through consumers that are its own: created where reading begins, deleted when the query
/// is answered.
///
/// A consumer's count of what it has to deliver (`num_pending`) says how much to ask for, no more: servers before 2.10
/// have been seen to count too low while they are busy. A reading that did not meet its end asks for the next match
/// behind what it got; when there is one, it goes on there.
struct ConsumerReader {
    let jetStream: JetStream
    let stream: String
    let pattern: EventPattern
    /// Whether every message of the stream matches.
    let matchesAll: Bool
    /// How long nothing may come while there is something to read.
    let patience: Duration
    /// The consumers created so far.
    private var created: [String] = []

    init(
        jetStream: JetStream,
        stream: String,
        pattern: EventPattern,
        matchesAll: Bool,
        patience: Duration
    ) {
        self.jetStream = jetStream
        self.stream = stream
        self.pattern = pattern
        self.matchesAll = matchesAll
        self.patience = patience
    }

    /// Deletes the consumers.
    mutating func discard() {
        for name in created { jetStream.discardConsumer(name, on: stream) }
        created = []
    }

    /// The first matches from a place on, that lie below `end`, until there are `limit` of them or so many bytes. What came
    /// before an error is a part too.
    mutating func first(
        _ limit: Int,
        maximumBytes: Int,
        from start: ConsumerConfiguration.Start,
        before end: UInt64
    ) async throws(JetStreamError) -> StoredPart {
        let begin: UInt64? = if case .sequence(let sequence) = start { max(sequence, 1) } else { nil }
        if let begin, begin >= end { return StoredPart() }
        let consumer = try await consumer(from: start)
        var part = StoredPart()
        do throws(JetStreamError) {
            try await read(
                consumer,
                from: begin,
                before: end,
                expected: consumer.pending,
                limit: limit,
                maximumBytes: maximumBytes,
                into: &part
            )
        } catch {
            guard !part.messages.isEmpty else { throw error }
            part.isCutShort = true
        }
        return part
    }

    /// Reads the newest matches, until there are as many as are wanted. What came before an error is kept, and the error only
    /// thrown when nothing came.
    mutating func newest(_ reading: inout BackwardReading) async throws(JetStreamError) {
        let begun = reading.progress
        do throws(JetStreamError) {
            while !reading.isDone { try await readPiece(&reading) }
        } catch {
            guard reading.progress > begun else { throw error }
        }
    }

    private mutating func readPiece(_ reading: inout BackwardReading) async throws(JetStreamError) {
        let range = reading.range
        let found: Found
        if let next = reading.next {
            let consumer = try await consumer(from: .sequence(next))
            found = (next, (consumer, min(max(consumer.pending, 1), range.upperBound - next)))
        } else {
            found =
                matchesAll
                ? try await behind(range.upperBound, reading.wanted, in: range)
                : try await search(reading.wanted, atMost: reading.foundAtMost, in: range, isAtEnd: reading.isAtEnd)
            reading.begin(at: found.start)
        }
        let (start, (consumer, expected)) = found
        var part = StoredPart()
        do throws(JetStreamError) {
            try await read(
                consumer,
                from: start,
                before: range.upperBound,
                expected: expected,
                maximumBytes: reading.readBytes,
                into: &part
            )
        } catch {
            reading.take(part.messages, isWhole: false, expected: expected)
            throw error
        }
        reading.take(part.messages, isWhole: !part.isCutShort, expected: expected)
    }

    /// A consumer, and how much of what it delivers is wanted.
    private typealias Found = (start: UInt64, consumer: (information: ConsumerInformation, expected: UInt64))

    /// A consumer so many sequences before an end.
    private mutating func behind(
        _ end: UInt64,
        _ count: Int,
        in range: Range<UInt64>
    ) async throws(JetStreamError) -> Found {
        let width = min(UInt64(count), end - range.lowerBound)
        let start = end - width
        return (start, (try await consumer(from: .sequence(start)), width))
    }

    /// A consumer at about so many matches before the end.
    private mutating func search(
        _ count: Int,
        atMost maximum: UInt64,
        in range: Range<UInt64>,
        isAtEnd: Bool
    ) async throws(JetStreamError) -> Found {
        var search = NewestSearch(
            limit: count,
            first: range.lowerBound,
            last: isAtEnd ? range.upperBound - 1 : .max,
            before: isAtEnd ? nil : range.upperBound,
            isFiltered: true,
            maximum: maximum
        )
        var consumers: [UInt64: ConsumerInformation] = [:]
        while true {
            switch search.next() {
            case .probe(let starts):
                for (start, consumer) in try await probes(starts) {
                    consumers[start] = consumer
                    search.answer(start: start, matching: consumer.pending)
                }
            case .read(let found):
                let start = min(max(found, range.lowerBound), range.upperBound - 1)
                // The probe that found the place can read from it.
                let consumer =
                    if let known = consumers[start] { known } else { try await self.consumer(from: .sequence(start)) }
                let expected = consumer.pending - min(search.beyond ?? 0, consumer.pending)
                return (start, (consumer, expected))
            }
        }
    }

    /// Reads what lies between a place and an end, whatever the counts say.
    ///
    /// - Parameters:
    ///   - consumer: stands at `start`.
    ///   - start: the first sequence that counts; `nil` when it is not known.
    ///   - end: the first sequence that does not.
    ///   - expected: how many there are, as far as is known.
    ///   - limit: how many of the first are wanted.
    ///   - maximumBytes: soon after so many bytes the part is cut short.
    ///   - part: gets what was read, before an error too.
    private mutating func read(
        _ consumer: ConsumerInformation,
        from start: UInt64?,
        before end: UInt64,
        expected: UInt64,
        limit: Int = .max,
        maximumBytes: Int = .max,
        into part: inout StoredPart
    ) async throws(JetStreamError) {
        var (consumer, next, expected) = (consumer, start, expected)
        var bytes = 0
        var stalls = 0
        while true {
            let count = min(Int(clamping: expected), limit - part.messages.count)
            if count > 0 {
                let reading = try await jetStream.reading(
                    count,
                    maximumBytes: max(maximumBytes - bytes, 1),
                    before: end,
                    from: consumer.name,
                    on: stream,
                    delivered: 0,
                    limits: PullLimits(consumer.configuration),
                    deadline: .now + patience
                ) { StoredMessage($0) }
                // A stream whose subjects were changed may have others from before.
                part.messages +=
                    matchesAll ? reading.elements.filter { pattern.matches(subject: $0.subject) } : reading.elements
                bytes += reading.elements.reduce(0) { $0 + $1.payload.count }
                if let last = reading.elements.last { next = last.sequence.nextSequence }
                if let error = reading.error { throw error }
                if reading.hasPassedEnd { return }
                if reading.isCutShort, !part.messages.isEmpty {
                    part.isCutShort = true
                    return
                }
                stalls = reading.elements.isEmpty ? stalls + 1 : 0
            }
            if part.messages.count >= limit { return }
            // A time says where to begin, but not from which sequence on something may be missing.
            guard let begin = next, begin < end else { return }
            guard let missed = try await nextMatch(from: begin), missed < end else { return }
            guard stalls < 3 else {
                throw JetStreamError(.consumerLost, "message \(missed) was not delivered")
            }
            consumer = try await self.consumer(from: .sequence(missed))
            next = missed
            expected = min(max(consumer.pending, 1), end - missed)
        }
    }

    /// The sequence of the first match from a sequence on; `nil` when there is none, or this user may not ask.
    private func nextMatch(from sequence: UInt64) async throws(JetStreamError) -> UInt64? {
        do throws(JetStreamError) {
            return try await jetStream.message(
                atOrAfter: sequence,
                matching: matchesAll ? ">" : pattern.subject,
                on: stream,
                timeout: JetStreamStore.remaining(.now + patience)
            )?.sequence
        } catch {
            guard error.underlying?.code == .permissionDenied else { throw error }
            return nil
        }
    }

    // MARK: Consumers

    private mutating func consumer(
        from start: ConsumerConfiguration.Start
    ) async throws(JetStreamError) -> ConsumerInformation {
        let consumer = try await Self.create(jetStream, configuration(start), stream, patience)
        created.append(consumer.name)
        return consumer
    }

    /// Consumers at several places, created at once.
    private mutating func probes(_ starts: [UInt64]) async throws(JetStreamError) -> [(UInt64, ConsumerInformation)] {
        typealias Answer = (UInt64, Result<ConsumerInformation, JetStreamError>)
        let (jetStream, stream, patience) = (jetStream, stream, patience)
        let configurations = starts.map { ($0, configuration(.sequence($0))) }
        let answers = await withTaskGroup(of: Answer.self) { group in
            for (start, configuration) in configurations {
                group.addTask {
                    do throws(JetStreamError) {
                        return (start, .success(try await Self.create(jetStream, configuration, stream, patience)))
                    } catch {
                        return (start, .failure(error))
                    }
                }
            }
            return await group.reduce(into: [Answer]()) { $0.append($1) }
        }
        // All that were created are known before one that was not ends this: they have to be deleted.
        for case (_, .success(let consumer)) in answers { created.append(consumer.name) }
        var consumers: [(UInt64, ConsumerInformation)] = []
        for (start, answer) in answers { consumers.append((start, try answer.get())) }
        return consumers
    }

    private func configuration(_ start: ConsumerConfiguration.Start) -> ConsumerConfiguration {
        // On a slow link there may be long between two requests.
        .reader(
            start: start,
            filterSubjects: matchesAll ? [] : [pattern.subject],
            inactiveThreshold: .seconds(60)
        )
    }

    private static func create(
        _ jetStream: JetStream,
        _ configuration: ConsumerConfiguration,
        _ stream: String,
        _ patience: Duration
    ) async throws(JetStreamError) -> ConsumerInformation {
        let timeout = JetStreamStore.remaining(.now + patience)
        return try await jetStream.createConsumer(configuration, on: stream, timeout: timeout)
    }
}

extension StoredMessage {
    fileprivate init(_ message: JetStreamMessageView) {
        self.init(
            subject: String(decoding: message.subject, as: UTF8.self),
            payload: Array(message.payload),
            sequence: message.position.streamSequence,
            storedAt: Timestamp(nanosecondsSinceEpoch: message.position.timestamp),
            headers: MessageHeaders(block: message.headers)
        )
    }
}
