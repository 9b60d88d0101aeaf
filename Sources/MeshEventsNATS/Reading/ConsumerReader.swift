import MeshEvents
import NATSClient

/// Reads a stream for one query through its own consumers. They are created where reading begins, and deleted when the
/// query is answered.
///
/// A consumer's count of its messages (`num_pending`) only tells how many to ask for: servers before 2.10 have been
/// seen to count too low while they are busy. A reading that did not reach its end asks for the next match behind its
/// last message; when there is one, it goes on there.
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

    /// Reads the first matches from a start on that lie below `end`, until there are `limit` of them or `maximumBytes`
    /// bytes. Messages that came before an error are returned as a part that is cut short.
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

    /// Reads the newest matches until there are enough. Messages that came before an error are kept, and the error is
    /// thrown only when none came.
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
                matchesAll && !reading.isSparse
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

    /// A consumer, and how many of its messages are wanted.
    private typealias Found = (start: UInt64, consumer: (information: ConsumerInformation, expected: UInt64))

    /// Creates a consumer this many sequences before an end.
    private mutating func behind(
        _ end: UInt64,
        _ count: Int,
        in range: Range<UInt64>
    ) async throws(JetStreamError) -> Found {
        let width = min(UInt64(count), end - range.lowerBound)
        let start = end - width
        return (start, (try await consumer(from: .sequence(start)), width))
    }

    /// Creates a consumer about this many matches before the end.
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
                // The probe that found the start can read from it.
                let consumer =
                    if let known = consumers[start] { known } else { try await self.consumer(from: .sequence(start)) }
                let expected = consumer.pending - min(search.beyond ?? 0, consumer.pending)
                return (start, (consumer, expected))
            }
        }
    }

    /// Reads everything between a start and an end, whatever the counts say.
    ///
    /// - Parameters:
    ///   - consumer: begins at `start`.
    ///   - start: the first sequence to read; `nil` when it is not known.
    ///   - end: the first sequence not to read.
    ///   - expected: how many there are, as far as known.
    ///   - limit: how many of the first are wanted.
    ///   - maximumBytes: the part is cut short soon after this many bytes.
    ///   - part: receives the messages, also those before an error.
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
                // A stream whose subjects were changed may have messages with other subjects.
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
            // A start time does not tell from which sequence on a message may be missing.
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
        // Note all created consumers before a failed one throws: they have to be deleted.
        for case (_, .success(let consumer)) in answers { created.append(consumer.name) }
        var consumers: [(UInt64, ConsumerInformation)] = []
        for (start, answer) in answers { consumers.append((start, try answer.get())) }
        return consumers
    }

    private func configuration(_ start: ConsumerConfiguration.Start) -> ConsumerConfiguration {
        // On a slow link there may be a long time between two requests.
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
            subject: String(decoding: message.subjectBytes, as: UTF8.self),
            payload: Array(message.payloadBytes),
            sequence: message.position.streamSequence,
            storedAt: Timestamp(nanosecondsSinceEpoch: message.position.timestamp),
            headers: MessageHeaders(block: message.headerBytes)
        )
    }
}
