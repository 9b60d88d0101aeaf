import MeshEvents
import NATSClient

/// Reads a stream message by message, with requests that change nothing on the server: for users who may not create
/// consumers.
///
/// Each request asks for the next match from a sequence on (`next_by_subj`). A ``ReadingPlan`` decides from where,
/// keeps the messages, and has several requests under way, so that the round-trip time does not limit the reading. The
/// caller owns the plan: messages left in it by a reading that ended early are there for the next one.
struct MessageReader: Sendable {
    /// How long one message may take; a lost connection is noticed sooner.
    private static let messageTimeout: Duration = .seconds(30)

    let jetStream: JetStream
    let stream: String

    /// The answer to one request.
    private typealias Answer = (start: UInt64, took: Duration, result: Result<StreamMessage?, JetStreamError>)

    // MARK: Ranges

    /// Reads a range from its near end on, until the plan has this many matches or about this many bytes.
    ///
    /// - Parameters:
    ///   - plan: the range, and what was read of it before; keeps the messages that have come when this throws.
    ///   - limit: how many messages at most.
    ///   - maximumBytes: about how many bytes of them.
    ///   - pattern: which messages; `nil` for all, events or not.
    ///   - pause: when to return, if there are messages; `nil` to go on to the end.
    ///   - patience: how long nothing may come.
    func read(
        _ plan: inout ReadingPlan,
        _ limit: Int,
        maximumBytes: Int = .max,
        matching pattern: EventPattern?,
        until pause: ContinuousClock.Instant? = nil,
        patience: Duration
    ) async throws(JetStreamError) {
        var deadline = ContinuousClock.now + patience
        while let error = await exchange(&plan, limit, maximumBytes, pattern, pause, patience, &deadline) {
            if pause != nil, plan.hasMessages {
                if error.kind == .timeout { plan.slowDown() }
                return
            }
            // Fewer requests from now on, also over the next connection: a server ends one whose client reads too slowly.
            let wasAlone = plan.pace.width == 1
            if error.isRetriable { plan.slowDown() }
            guard error.kind == .timeout, .now < deadline, !wasAlone else { throw error }
        }
    }

    /// Sends the plan's requests until it has no more or one fails; waits for those under way.
    private func exchange(
        _ plan: inout ReadingPlan,
        _ limit: Int,
        _ maximumBytes: Int,
        _ pattern: EventPattern?,
        _ pause: ContinuousClock.Instant?,
        _ patience: Duration,
        _ deadline: inout ContinuousClock.Instant
    ) async -> JetStreamError? {
        var error: JetStreamError?
        await withTaskGroup(of: Answer.self) { group in
            while true {
                let isDue = pause.map { plan.hasMessages && .now >= $0 } ?? false
                while error == nil, !isDue, let start = plan.next(limit: limit, maximumBytes: maximumBytes) {
                    // With several requests, a lost one times out early, so that there is time left to repeat it.
                    let end = plan.pace.width > 1 ? min(deadline, .now + patience / 4) : deadline
                    group.addTask { await self.answer(to: start, matching: pattern, deadline: end) }
                }
                guard let answer = await group.next() else { return }
                switch answer.result {
                case .success(let message):
                    plan.answer(message, to: answer.start, after: answer.took)
                    deadline = .now + patience
                case .failure(let failure):
                    plan.fail(answer.start)
                    error = error ?? failure
                }
            }
        }
        return error
    }

    private func answer(
        to start: UInt64,
        matching pattern: EventPattern?,
        deadline: ContinuousClock.Instant
    ) async -> Answer {
        let begun = ContinuousClock.now
        do throws(JetStreamError) {
            let message = try await message(from: start, matching: pattern, deadline: deadline)
            return (start, .now - begun, .success(message))
        } catch {
            return (start, .now - begun, .failure(error))
        }
    }

    /// Reads the newest matches until there are enough. Messages that came before an error are kept, and the error is
    /// thrown only when none came.
    ///
    /// - Parameter plan: what was read before of the part before the reading's end.
    func newest(
        _ reading: inout BackwardReading,
        _ plan: inout ReadingPlan,
        matching pattern: EventPattern,
        patience: Duration
    ) async throws(JetStreamError) {
        let begun = reading.progress
        do throws(JetStreamError) {
            while !reading.isDone {
                let (limit, room) = (reading.missing, reading.room)
                try await read(&plan, limit, maximumBytes: room, matching: pattern, patience: patience)
                let part = plan.take(limit)
                reading.take(try StoredMessage.all(part.messages), from: part.reached)
            }
        } catch {
            let part = plan.take(reading.missing)
            reading.take(try StoredMessage.all(part.messages), from: part.reached)
            guard reading.progress > begun else { throw error }
        }
    }

    // MARK: Times

    /// The first sequence whose message was stored at `time` or later; the stream's next sequence when there is none. A
    /// binary search: a few dozen requests, however large the stream is.
    func sequence(
        at time: Timestamp,
        in stream: StreamInformation,
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> UInt64 {
        var (low, high) = (max(stream.state.firstSequence, 1), stream.state.lastSequence.nextSequence)
        while low < high {
            let middle = low + (high - low) / 2
            guard let found = try await message(from: middle, matching: nil, deadline: deadline),
                found.sequence < high
            else {
                high = middle
                continue
            }
            if try StoredMessage(found).storedAt < time { low = found.sequence + 1 } else { high = middle }
        }
        return low
    }

    // MARK: One message

    private func message(
        from sequence: UInt64,
        matching pattern: EventPattern?,
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> StreamMessage? {
        guard .now < deadline else {
            throw JetStreamError(.timeout, "the messages did not arrive before the deadline")
        }
        let found = try await jetStream.message(
            atOrAfter: sequence,
            matching: pattern?.subject ?? ">",
            on: stream,
            timeout: max(min(deadline - .now, Self.messageTimeout), .milliseconds(1))
        )
        guard let found else { return nil }
        guard pattern?.matches(subject: found.subject) != false else {
            throw JetStreamError(
                .invalidAnswer,
                "asked for a message on \(pattern?.subject ?? ">"), the server answered one on \(found.subject)"
            )
        }
        // The request asked from there on: with any other answer the reading would never end.
        guard found.sequence >= sequence else {
            throw JetStreamError(
                .invalidAnswer,
                "asked for a message from sequence \(sequence) on, the server answered sequence \(found.sequence)"
            )
        }
        return found
    }
}

extension StoredMessage {
    /// Converts messages of a stream into the store's.
    static func all(_ messages: [StreamMessage]) throws(JetStreamError) -> [StoredMessage] {
        var stored: [StoredMessage] = []
        stored.reserveCapacity(messages.count)
        for message in messages { stored.append(try StoredMessage(message)) }
        return stored
    }

    fileprivate init(_ message: StreamMessage) throws(JetStreamError) {
        guard let time = try? Timestamp(rfc3339: message.time) else {
            throw JetStreamError(
                .invalidAnswer,
                "the server's time of a message is invalid: \(message.time.debugDescription)"
            )
        }
        self.init(
            subject: message.subject,
            payload: message.payload,
            sequence: message.sequence,
            storedAt: time,
            headers: message.headerBlock.withUnsafeBytes { MessageHeaders(block: $0) }
        )
    }
}
