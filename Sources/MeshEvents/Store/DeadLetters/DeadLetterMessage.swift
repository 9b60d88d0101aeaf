import MeshJSON

/// A dead letter to be stored: an event that a durable subscription has given up, as the event
/// `user.dead_letter.<durable>`.
///
/// Its data: `reason`, `type`, `sequence`, `node`, `timestamp` and `deliveries` of the original, and the original's
/// `data`. A message that is no event has `payload` (its beginning, as text) instead of `node`, `timestamp` and `data`.
/// Data that does not fit is left out and `data_omitted` says why. When it was a retry that failed, `retry_of` is the
/// sequence of the dead letter that was retried.
struct DeadLetterMessage {
    /// The prefix of every dead letter's subject.
    static let subjectPrefix = "events.user.dead_letter."

    let durable: String
    let reason: String
    let message: DurableMessage
    /// The event; `nil` when the message is no event.
    let event: Event?

    /// The subject it is stored on.
    var subject: String { Self.subjectPrefix + durable }

    /// The message id, the same for every subscriber and every attempt: a crash between storing and acknowledging does
    /// not store the letter twice. Every reader of the stream can compute the id; see `DurableSource` for the
    /// consequences.
    var messageID: String {
        let id = "dead-letter.\(durable).\(message.stored.sequence).\(message.stored.storedAt.nanosecondsSinceEpoch)"
        // An event that is given up again after a retry is another dead letter.
        return message.retry.map { "\(id).retry.\($0.order)" } ?? id
    }

    /// The members of a dead letter's data that describe the original event. The number of deliveries and the reason
    /// are left out: they may differ between two subscribers.
    static func content(_ data: EventData) -> [String: String] {
        let members: Set = ["data", "data_omitted", "node", "payload", "sequence", "timestamp", "type"]
        return Dictionary(
            data.members.filter { members.contains($0.key) }.map { ($0.key, $0.value.json) },
            uniquingKeysWith: { _, last in last }
        )
    }

    /// The encoded event, without the original's data when that does not fit.
    ///
    /// - Throws: `invalidEventType` for a durable's name that no subject can hold.
    func encoded(node: String, now: Timestamp, maximumPayload: Int?) throws(MeshEventsError) -> [UInt8] {
        let type = try EventType.user("dead_letter." + durable)
        let encoder = EventEncoder()
        func encode(_ data: EventData) throws(MeshEventsError) -> [UInt8] {
            try encoder.encode(Event(type, node: node, timestamp: now, data: data))
        }
        if event != nil {
            let whole = data(omitting: nil)
            if whole.isValid {
                let bytes = try encode(whole)
                guard let maximumPayload, bytes.count > maximumPayload - 512 else { return bytes }
                return try encode(data(omitting: "with it the dead letter would be too large"))
            }
            return try encode(data(omitting: "it is nested too deep"))
        }
        return try encode(data(omitting: nil))
    }

    private func data(omitting omission: StaticString?) -> EventData {
        EventData { writer in
            writer.open(UInt8(ascii: "{"))
            if let event, omission == nil {
                writer.write("\"data\":")
                writer.write(event.data)
                writer.write(",")
            } else if let omission {
                writer.write("\"data_omitted\":\"")
                writer.write(omission)
                writer.write("\",")
            }
            writer.write("\"deliveries\":")
            writer.integer(Int64(message.deliveries))
            if let event {
                writer.write(",\"node\":")
                writer.string(event.node)
            } else {
                writer.write(",\"payload\":")
                writer.string(payloadText)
            }
            writer.write(",\"reason\":")
            writer.string(String(reason.prefix(2000)))
            if let retry = message.retry {
                writer.write(",\"retry_of\":")
                writer.integer(Int64(clamping: retry.letter))
            }
            writer.write(",\"sequence\":")
            writer.integer(Int64(clamping: message.stored.sequence))
            if let event {
                writer.write(",\"timestamp\":\"")
                writer.timestamp(event.timestamp)
                writer.write("\"")
            }
            writer.write(",\"type\":")
            writer.string(type)
            writer.close(UInt8(ascii: "}"))
        }
    }

    private var type: String {
        if let event { return event.type.rawValue }
        let subject = message.stored.subject
        return subject.hasPrefix(SubjectRules.prefix) ? String(subject.dropFirst(SubjectRules.prefix.count)) : subject
    }

    private var payloadText: String {
        String(decoding: message.stored.payload.prefix(MalformedEvent.maximumPrefix), as: UTF8.self)
    }
}
