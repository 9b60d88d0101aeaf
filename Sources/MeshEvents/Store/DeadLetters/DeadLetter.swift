/// An event that a durable subscription has given up: a stored event `user.dead_letter.<durable>`, and what was done
/// about it since.
///
/// ```swift
/// for letter in try await persistent.deadLetters(of: "alerts") {
///     print(letter.sequence, letter.type, letter.reason)
///     try await persistent.retry(letter)
/// }
/// ```
public struct DeadLetter: Sendable, Hashable, Identifiable {
    /// The durable's name.
    public let durable: String
    /// Its own sequence in the stream, from 1.
    public let sequence: UInt64
    /// When it was stored, by the server's clock.
    public let storedAt: Timestamp
    /// The node whose subscriber has given the event up.
    public let node: String
    /// Why.
    public let reason: String
    /// How often the original was delivered, from 1; 0 when that is not known.
    public let deliveries: Int
    /// The original.
    public let original: Original
    /// The dead letter that was retried, when this one comes from a retry that failed.
    public let retryOf: UInt64?
    /// What was done about it.
    public internal(set) var status: Status

    /// Its sequence identifies it among the dead letters of its durable.
    public var id: UInt64 { sequence }

    /// What a dead letter says of the event that was given up.
    public struct Original: Sendable, Hashable {
        /// Its sequence in the stream, from 1.
        public let sequence: UInt64
        /// Its type as text, e.g. `tool.crashed`; that of a message that is no event may break the rules of types.
        public let type: String
        /// The node that emitted it; `nil` for a message that is no event.
        public let node: String?
        /// When it happened; `nil` for a message that is no event.
        public let timestamp: Timestamp?
        /// Its data; `nil` when the dead letter does not have them.
        public let data: EventData?
        /// Why the dead letter does not have the data; `nil` when it has.
        public let dataOmitted: String?
        /// The beginning of a message that is no event.
        public let payload: String?
    }

    /// What was done about a dead letter.
    public enum Status: Sendable, Hashable {
        /// Nothing was done yet. `problem`: why the last retry could not be delivered, when there was one.
        case open(problem: String?)
        /// A retry was asked for, and no handler is done with it yet. `since`: when, and `by`: by which node.
        /// `deliveries`: how often a handler got it, 0 while none has it.
        case retrying(since: Timestamp, by: String, deliveries: Int)
        /// A retry has succeeded, at this time, in a handler of this node.
        case handled(at: Timestamp, by: String)
        /// A retry has failed too often, at this time. `letter`: the new dead letter's sequence, when it is known.
        case failedAgain(at: Timestamp, letter: UInt64?)
        /// It is not to be retried, as this node has said at this time.
        case discarded(at: Timestamp, by: String, reason: String)

        /// Whether it still needs care: nothing was done yet, or a retry is under way.
        public var isOpen: Bool {
            switch self {
            case .open, .retrying: true
            case .handled, .failedAgain, .discarded: false
            }
        }
    }

    /// What asking for a retry, or discarding, has changed.
    public struct Change: Sendable, Hashable {
        /// The dead letter as it is now.
        public let letter: DeadLetter
        /// Whether this call has changed it; `false` when that had been done before, by whichever program.
        public let isNew: Bool
    }
}

extension DeadLetter {
    /// The pattern of a durable's dead letters.
    static func pattern(_ durable: String) throws(MeshEventsError) -> EventPattern {
        try EventPattern(subject: DeadLetterMessage.subjectPrefix + durable)
    }

    /// Reads a stored dead letter; `nil` for a message that is none.
    init?(_ message: StoredMessage, durable: String) {
        var decoder = StoredMessageDecoder()
        guard message.subject == DeadLetterMessage.subjectPrefix + durable, let event = try? decoder.decode(message),
            let sequence = event.data["sequence"]?.uint64, let type = event.data["type"]?.string
        else { return nil }
        let data = event.data
        self.durable = durable
        self.sequence = message.sequence
        storedAt = message.storedAt
        node = event.node
        reason = data["reason"]?.string ?? ""
        deliveries = data["deliveries"]?.int ?? 0
        retryOf = data["retry_of"]?.uint64
        original = Original(
            sequence: sequence,
            type: type,
            node: data["node"]?.string,
            timestamp: data["timestamp"]?.string.flatMap { try? Timestamp(rfc3339: $0) },
            data: data["data"]?.data,
            dataOmitted: data["data_omitted"]?.string,
            payload: data["payload"]?.string
        )
        status = .open(problem: nil)
    }

    /// Whether a stored message is the original that this dead letter is about: another stream may have had the same
    /// sequence.
    func isAbout(_ message: StoredMessage) -> Bool {
        guard message.sequence == original.sequence, message.storedAt <= storedAt,
            message.subject == SubjectRules.prefix + original.type || message.subject == original.type
        else { return false }
        var decoder = StoredMessageDecoder()
        guard let event = try? decoder.decode(message) else { return original.node == nil }
        return event.node == original.node && event.timestamp == original.timestamp
    }
}

extension DeadLetter.Status {
    /// What the log says of a dead letter.
    ///
    /// - Parameter first: the stream's first sequence: handlers do not see what lies below it.
    init(_ entry: DeadLetterLog.Entry?, first: UInt64) {
        guard let entry else {
            self = .open(problem: nil)
            return
        }
        let (asked, latest) = (entry.asked, entry.latest)
        switch entry.phase {
        case .waiting, .delivered:
            self =
                latest.sequence < first
                ? .open(problem: "no handler took the retry while the stream had it")
                : .retrying(since: asked.storedAt, by: asked.node, deliveries: entry.deliveries)
        case .handled: self = .handled(at: latest.storedAt, by: latest.node)
        case .givenUp(let letter): self = .failedAgain(at: latest.storedAt, letter: letter)
        case .discarded(let reason): self = .discarded(at: asked.storedAt, by: asked.node, reason: reason)
        case .undeliverable(let reason): self = .open(problem: reason)
        }
    }
}
