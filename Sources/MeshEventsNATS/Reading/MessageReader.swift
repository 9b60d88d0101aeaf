import MeshEvents
import NATSClient

/// Reads a stream message by message, with requests that change nothing on the server: for users who may not create
/// consumers.
///
/// Each request asks for the next match from a sequence on (`next_by_subj`). A ``ReadingPlan`` says from where, keeps what
/// comes, and has several under way, so that reading is not bound by the time of a round trip. It is its owner's: what a
/// reading leaves in it, because it ended early, is there for the next one.
struct MessageReader: Sendable {
    /// How long one message may take; a connection that is lost is noticed without it.
    private static let messageTimeout: Duration = .seconds(30)

    let jetStream: JetStream
    let stream: String

    /// The answer to one request.
    private typealias Answer = (start: UInt64, took: Duration, result: Result<StreamMessage?, JetStreamError>)

    // MARK: Ranges

    /// Reads a range from its near end on, until there are so many matches or about so many bytes; they are in the plan.
    ///
    /// - Parameters:
    ///   - plan: the range, and what was read of it before; keeps what has come when this throws.
    ///   - limit: how many messages at most.
    ///   - maximumBytes: about how many bytes of them.
    ///   - pattern: which messages; `nil` for all, events or not.
    ///   - pause: when to hand over what there is, if there is something; `nil` to go on to the end.
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
            // Fewer are made while there is some time left.
            guard error.kind == .timeout, .now < deadline, plan.pace.width > 1 else { throw error }
            plan.slowDown()
        }
    }

    /// Makes the requests of a plan until it has no more, or the first of them fails; waits for those under way.
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
                    // One that is lost is noticed by its time: then there is some left for others.
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

    /// Reads the newest matches, until there are as many as are wanted. What came before an error is kept, and the error only
    /// thrown when nothing came.
    ///
    /// - Parameter plan: what was read before of what lies before the reading's end.
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

    /// The first sequence whose message was stored at `time` or later; the stream's next when there is none. Halves
    /// the stream: a few dozen requests, however large it is.
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
        // Asked for from there on: anything else would be read for ever.
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
    /// Messages of a stream as the store hands them over.
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
                "the server's time of a message is none: \(message.time.debugDescription)"
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
