import Logging
import MeshConcurrency
import MeshLogging
import Synchronization

/// The counts of a durable subscription.
final class DurableCounts: Sendable {
    let acknowledged = Atomic<UInt64>(0)
    let failed = Atomic<UInt64>(0)
    let deadLettered = Atomic<UInt64>(0)
    let malformed = Atomic<UInt64>(0)
    let rejected = Atomic<UInt64>(0)
    let redelivered = Atomic<UInt64>(0)
    let skipped = Atomic<UInt64>(0)
}

extension DurableSource {
    /// How long an answer is retried: after about the acknowledgement wait the store delivers the event again anyway.
    private var answerDeadline: Duration { min(max(configuration.acknowledgementWait, .seconds(5)), .seconds(60)) }

    static let noLongerInHand = MeshEventsError(
        .closed,
        "this delivery was answered, handed back, or replaced by a later one of the same event; it takes no answer"
    )

    /// Acknowledges an event.
    func acknowledge(_ id: UInt64) async throws(MeshEventsError) {
        guard let entry = claim(id, .acknowledge) else { throw Self.noLongerInHand }
        try await uncancelled { [self] () async throws(MeshEventsError) in
            defer { settle(id) }
            do throws(MeshEventsError) {
                try await confirm(entry, .acknowledge)
            } catch {
                // The event was delivered again meanwhile, and the answer to that delivery is confirmed.
                guard isConfirmed(entry) else { throw error }
            }
        }
        countConfirmed(entry.message)
    }

    /// Handles a failed event: asks for a redelivery, or gives the event up after the maximum of deliveries.
    func fail(_ id: UInt64, delay: Duration?, reason: String) async throws(MeshEventsError) {
        guard let entry = claim(id) else { throw Self.noLongerInHand }
        counts.failed.add(1, ordering: .relaxed)
        let deliveries = entry.message.deliveries
        if deliveries >= configuration.maximumDeliveries {
            try await uncancelled { [self] () async throws(MeshEventsError) in
                try await giveUp(entry, "failed \(deliveries) times; the last reason: \(reason)")
            }
            return
        }
        let delay = delay ?? configuration.redelivery.delay(afterDelivery: deliveries)
        try await uncancelled { [self] () async throws(MeshEventsError) in
            defer { settle(id) }
            try await confirm(entry, .redeliver(after: delay))
        }
    }

    /// Gives an event up at once.
    func terminate(_ id: UInt64, reason: String) async throws(MeshEventsError) {
        guard let entry = claim(id) else { throw Self.noLongerInHand }
        counts.failed.add(1, ordering: .relaxed)
        try await uncancelled { [self] () async throws(MeshEventsError) in try await giveUp(entry, reason) }
    }

    /// Hands an event back for immediate redelivery; the store still counts the delivery.
    func handBack(_ id: UInt64) async {
        guard let entry = claim(id) else { return }
        try? await uncancelled { [self] () async throws(MeshEventsError) in
            defer { settle(id) }
            await answerQuietly(entry.message, .redeliver(after: .zero), deadline: .seconds(2))
        }
    }

    private func confirm(_ entry: DurableEntry, _ answer: DurableAnswer) async throws(MeshEventsError) {
        // What is doubtful is what the durable itself has delivered.
        guard entry.message.retry == nil else {
            return try await send(answer, to: entry.message, deadline: answerDeadline)
        }
        do throws(MeshEventsError) {
            let deadline = isDoubtful(entry) ? .milliseconds(500) : answerDeadline
            try await send(answer, to: entry.message, deadline: deadline)
        } catch {
            if error.code == .timeout { unconfirmed(entry) }
            throw error
        }
    }

    /// Starts an event's acknowledgement wait anew.
    func progress(_ id: UInt64) async throws(MeshEventsError) {
        guard let message = extend(id) else { throw Self.noLongerInHand }
        try await send(.inProgress, to: message, deadline: answerDeadline)
    }

    private func giveUp(_ entry: DurableEntry, _ reason: String) async throws(MeshEventsError) {
        do throws(MeshEventsError) {
            try await bury(entry.message, entry.event, reason)
        } catch {
            let delay = configuration.redelivery.maximum
            await answerQuietly(entry.message, .redeliver(after: delay))
            settle(entry.id)
            throw MeshEventsError(
                error.code == .closed ? .timeout : error.code,
                "the dead letter of event \(entry.message.stored.sequence) could not be stored: \(error.message); the event is "
                    + "delivered again in \(delay)",
                underlying: error,
                isRetriable: error.isRetriable
            )
        }
        defer { settle(entry.id, .acknowledge) }
        try await confirm(entry, .acknowledge)
    }

    /// Gives up a message that was not handed to a reader.
    func giveUp(_ message: DurableMessage, _ event: Event?, _ reason: String) async {
        do throws(MeshEventsError) {
            try await bury(message, event, reason)
        } catch {
            report("a dead letter could not be stored; its event is delivered again", error)
            await answerQuietly(message, .redeliver(after: configuration.redelivery.maximum))
            return
        }
        await answerQuietly(message, .acknowledge)
    }

    /// Stores the dead letter.
    private func bury(_ message: DurableMessage, _ event: Event?, _ reason: String) async throws(MeshEventsError) {
        let fields: Logger.Fields = [
            .durable: "\(name)", .sequence: "\(message.stored.sequence)", .subject: "\(message.stored.subject)",
            .reason: "\(reason)",
        ]
        // A dead letter that fails is among the dead letters already. Two subscriptions to each other's dead letters
        // would otherwise make new ones for ever.
        guard !message.stored.subject.hasPrefix(DeadLetterMessage.subjectPrefix) else {
            logger.error("a dead letter failed; it stays in the stream, and no other one is made", fields)
            return
        }
        let letter = DeadLetterMessage(durable: name, reason: reason, message: message, event: event)
        let payload = try letter.encoded(node: bus.node, now: .now, maximumPayload: bus.transport.maximumPayload)
        var headers = MessageHeaders()
        try bus.signature?.addSignature(to: &headers, subject: letter.subject, payload: payload)
        let sequence = try await store(letter, payload, headers, fields)
        retries.gaveUp(message, letter: sequence)
        counts.deadLettered.add(1, ordering: .relaxed)
        logger.warning("an event was given up and is a dead letter now", fields)
    }

    /// Stores the dead letter once, even when several subscribers of the durable give the event up. The message id
    /// follows from the event, so another client can use it beforehand. So when a stored message has the id already,
    /// this reads it, and accepts it only when it is the same dead letter.
    ///
    /// - Returns: its sequence.
    private func store(
        _ letter: DeadLetterMessage,
        _ payload: [UInt8],
        _ headers: MessageHeaders,
        _ fields: Logger.Fields
    ) async throws(MeshEventsError) -> UInt64 {
        func message(_ id: String, mayBeStored: Bool) -> PendingMessage {
            PendingMessage(
                subject: letter.subject,
                payload: payload,
                messageID: id,
                headers: headers,
                mayBeStored: mayBeStored
            )
        }
        let position = try await store.append(message(letter.messageID, mayBeStored: true), deadline: .seconds(30))
        guard position.isDuplicate, await !isStored(letter, payload, at: position.sequence) else {
            return position.sequence
        }
        logger.error("another message has a dead letter's message id; the dead letter is stored with a new one", fields)
        return try await store.append(message(messageIDs.next(), mayBeStored: false), deadline: .seconds(30)).sequence
    }

    /// Whether the message at a sequence describes the event as this dead letter does, and is signed when this bus
    /// signs. A message that cannot be read counts as a different one: two dead letters are better than none.
    private func isStored(_ letter: DeadLetterMessage, _ payload: [UInt8], at sequence: UInt64) async -> Bool {
        guard
            let pattern = try? EventPattern(subject: letter.subject),
            let messages = try? await store.first(
                1,
                matching: pattern,
                from: .sequence(sequence),
                timeout: .seconds(5)
            ),
            let found = messages.first, found.sequence == sequence, found.subject == letter.subject
        else { return false }
        var decoder = StoredMessageDecoder()
        let own = StoredMessage(subject: letter.subject, payload: payload, sequence: sequence, storedAt: .now)
        guard
            let event = try? decoder.decode(found), let expected = try? decoder.decode(own),
            DeadLetterMessage.content(event.data) == DeadLetterMessage.content(expected.data)
        else { return false }
        // A bus that signs has readers that verify. Whether they would accept the message, only this bus's own
        // verification can tell.
        return bus.signature == nil || bus.admission.admit(event, found)?.origin?.signature.isTrusted == true
    }

    /// Answers a message to where it comes from: the durable, or the retries of its dead letters.
    private func send(
        _ answer: DurableAnswer,
        to message: DurableMessage,
        deadline: Duration
    ) async throws(MeshEventsError) {
        guard message.retry != nil else { return try await consumer.answer(message, answer, deadline: deadline) }
        try await retries.answer(message, answer, deadline: deadline)
    }

    /// Answers a message and only logs a failure: the store then delivers the message again.
    ///
    /// - Returns: whether the store has confirmed the answer.
    @discardableResult
    func answerQuietly(_ message: DurableMessage, _ answer: DurableAnswer, deadline: Duration? = nil) async -> Bool {
        do throws(MeshEventsError) {
            try await uncancelled { [self] () async throws(MeshEventsError) in
                try await send(answer, to: message, deadline: deadline ?? answerDeadline)
            }
            return true
        } catch {
            report("an answer was not confirmed; its event may be delivered again", error)
            return false
        }
    }
}
