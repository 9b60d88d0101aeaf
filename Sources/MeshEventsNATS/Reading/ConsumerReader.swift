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
    let deadline: ContinuousClock.Instant
    /// The consumers created so far.
    private var created: [String] = []

    init(
        jetStream: JetStream,
        stream: String,
        pattern: EventPattern,
        matchesAll: Bool,
        deadline: ContinuousClock.Instant
    ) {
        self.jetStream = jetStream
        self.stream = stream
        self.pattern = pattern
        self.matchesAll = matchesAll
        self.deadline = deadline
    }

    /// Deletes the consumers.
    mutating func discard() {
        for name in created { jetStream.discardConsumer(name, on: stream) }
        created = []
    }

    /// The first `limit` matches from a place on, that lie below `end`.
    mutating func first(
        _ limit: Int,
        from start: ConsumerConfiguration.Start,
        before end: UInt64
    ) async throws(JetStreamError) -> [StoredMessage] {
        let consumer = try await consumer(from: start)
        let begin: UInt64? = if case .sequence(let sequence) = start { max(sequence, 1) } else { nil }
        if let begin, begin >= end { return [] }
        return try await read(consumer, from: begin, before: end, expected: consumer.pending, limit: limit)
    }

    /// The newest `limit` matches of a range, oldest first.
    ///
    /// - Parameter isAtEnd: whether the range ends where the stream does.
    mutating func newest(
        _ limit: Int,
        in range: Range<UInt64>,
        isAtEnd: Bool
    ) async throws(JetStreamError) -> [StoredMessage] {
        var messages: [StoredMessage] = []
        var end = range.upperBound
        var isAtEnd = isAtEnd
        while messages.count < limit, end > range.lowerBound {
            let missing = limit - messages.count
            let (start, consumer) =
                matchesAll
                ? try await behind(end, missing, in: range)
                : try await search(missing, in: range.lowerBound..<end, isAtEnd: isAtEnd)
            let found = try await read(
                consumer.information,
                from: start,
                before: end,
                expected: consumer.expected,
                keeping: missing
            )
            messages = found + messages
            // There may be fewer than was thought: messages go, and counts are of their moment.
            (end, isAtEnd) = (start, false)
        }
        return messages
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
        in range: Range<UInt64>,
        isAtEnd: Bool
    ) async throws(JetStreamError) -> Found {
        var search = NewestSearch(
            limit: count,
            first: range.lowerBound,
            last: isAtEnd ? range.upperBound - 1 : .max,
            before: isAtEnd ? nil : range.upperBound,
            isFiltered: true
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
    ///   - keeping: how many of the last are wanted.
    private mutating func read(
        _ consumer: ConsumerInformation,
        from start: UInt64?,
        before end: UInt64,
        expected: UInt64,
        limit: Int = .max,
        keeping: Int = .max
    ) async throws(JetStreamError) -> [StoredMessage] {
        var (consumer, next, expected) = (consumer, start, expected)
        var messages: [StoredMessage] = []
        var stalls = 0
        while true {
            // What is read beyond what is kept has to fit into memory too.
            let most = keeping == .max ? limit - messages.count : max(4_096, keeping.clampedMultiply(4))
            let count = min(Int(clamping: expected), most)
            if count > 0 {
                let reading = try await jetStream.reading(
                    count,
                    before: end,
                    from: consumer.name,
                    on: stream,
                    delivered: 0,
                    limits: PullLimits(consumer.configuration),
                    deadline: deadline
                ) { StoredMessage($0) }
                // A stream whose subjects were changed may have others from before.
                messages +=
                    matchesAll ? reading.elements.filter { pattern.matches(subject: $0.subject) } : reading.elements
                if messages.count > keeping { messages.removeFirst(messages.count - keeping) }
                if let last = reading.elements.last { next = last.sequence.nextSequence }
                if reading.hasPassedEnd { return messages }
                stalls = reading.elements.isEmpty ? stalls + 1 : 0
            }
            if messages.count >= limit { return messages }
            // A time says where to begin, but not from which sequence on something may be missing.
            guard let begin = next, begin < end else { return messages }
            guard let missed = try await nextMatch(from: begin), missed < end else { return messages }
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
                timeout: JetStreamStore.remaining(deadline)
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
        let consumer = try await Self.create(jetStream, configuration(start), stream, deadline)
        created.append(consumer.name)
        return consumer
    }

    /// Consumers at several places, created at once.
    private mutating func probes(_ starts: [UInt64]) async throws(JetStreamError) -> [(UInt64, ConsumerInformation)] {
        typealias Answer = (UInt64, Result<ConsumerInformation, JetStreamError>)
        let (jetStream, stream, deadline) = (jetStream, stream, deadline)
        let configurations = starts.map { ($0, configuration(.sequence($0))) }
        let answers = await withTaskGroup(of: Answer.self) { group in
            for (start, configuration) in configurations {
                group.addTask {
                    do throws(JetStreamError) {
                        return (start, .success(try await Self.create(jetStream, configuration, stream, deadline)))
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
        .reader(start: start, filterSubjects: matchesAll ? [] : [pattern.subject])
    }

    private static func create(
        _ jetStream: JetStream,
        _ configuration: ConsumerConfiguration,
        _ stream: String,
        _ deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> ConsumerInformation {
        try await jetStream.createConsumer(configuration, on: stream, timeout: JetStreamStore.remaining(deadline))
    }
}

extension Int {
    fileprivate func clampedMultiply(_ factor: Int) -> Int {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? .max : product
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
