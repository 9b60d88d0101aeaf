/// Reads and stores the records of a durable's dead letters.
struct DeadLetterLogStore: Sendable {
    /// How many records one request reads.
    private static let part = 500
    /// About how many bytes one request reads.
    private static let partBytes = 4 << 20
    /// How long reading may get nothing.
    private static let patience: Duration = .seconds(10)

    let durable: String
    let store: any EventStore
    let bus: EventBus
    /// Makes the ids of records; nothing follows from them.
    let messageIDs: MessageIDs

    /// The subject of the records.
    var subject: String { DeadLetterRecord.subject(durable) }

    /// Takes the records that were stored since into the log; one small request when there is none, or one.
    ///
    /// - Parameters:
    ///   - log: what is known; it begins anew when the stream has lost what was known, or is another one.
    ///   - verifies: whether records that ask for a retry, or discard a dead letter, must be admitted as events are.
    func read(into log: inout DeadLetterLog, empty: DeadLetterLog, verifies: Bool) async throws(MeshEventsError) {
        guard let newest = try await store.newestMessage(on: subject, timeout: Self.patience) else {
            if log.last > 0 { log = empty }
            return
        }
        if newest.sequence < log.last { log = empty }
        guard newest.sequence > log.last else { return }
        if let record = record(newest)?.record, record.after == log.last {
            return take(newest, into: &log, verifies: verifies)
        }
        let pattern = try EventPattern(subject: subject)
        while log.last < newest.sequence {
            let found = try await store.first(
                Self.part,
                maximumBytes: Self.partBytes,
                matching: pattern,
                from: .sequence(log.last.nextSequence),
                timeout: Self.patience
            )
            for message in found.messages { take(message, into: &log, verifies: verifies) }
            // Those up to the newest one may have been removed meanwhile.
            if found.messages.isEmpty { log.skip(newest.sequence) }
        }
    }

    /// Takes the record of a message into the log.
    func take(_ message: StoredMessage, into log: inout DeadLetterLog, verifies: Bool) {
        guard let (record, event) = record(message) else { return log.skip(message.sequence) }
        // What handlers say of their work causes no delivery. They need not sign.
        let isOrder =
            switch record.action {
            case .retry, .discard: true
            case .delivered, .failed, .handled, .givenUp, .undeliverable: false
            }
        if verifies, isOrder, bus.admission.admit(event, message) == nil { return log.skip(message.sequence) }
        let note = DeadLetterLog.Note(sequence: message.sequence, storedAt: message.storedAt, node: event.node)
        log.take(record, note, now: .now)
    }

    /// Stores a record, if the newest one is still that which it names.
    ///
    /// - Returns: its place.
    /// - Throws: `conflict` when there is a newer record; what the store throws.
    func append(_ record: DeadLetterRecord, deadline: Duration) async throws(MeshEventsError) -> DeadLetterLog.Note {
        let now = Timestamp.now
        let payload = try EventEncoder().encode(record.event(durable: durable, node: bus.node, now: now))
        var headers = MessageHeaders()
        try bus.signature?.addSignature(to: &headers, subject: subject, payload: payload)
        let message = PendingMessage(
            subject: subject,
            payload: payload,
            messageID: messageIDs.next(),
            headers: headers,
            expectedLastSequence: record.after
        )
        let position = try await store.append(message, deadline: deadline)
        return DeadLetterLog.Note(sequence: position.sequence, storedAt: now, node: bus.node)
    }

    private func record(_ message: StoredMessage) -> (record: DeadLetterRecord, event: Event)? {
        var decoder = StoredMessageDecoder()
        guard message.subject == subject, let event = try? decoder.decode(message),
            let record = DeadLetterRecord(event.data)
        else { return nil }
        return (record, event)
    }
}
