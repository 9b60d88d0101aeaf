/// What was done about a dead letter: one event `dead_letter.<durable>`, stored.
///
/// A record is stored only when the newest record of its durable is the one that its author knows (`after`). So the
/// records of a durable are decisions one after the other, from any program.
struct DeadLetterRecord: Sendable, Equatable {
    /// What was done.
    enum Action: Sendable, Equatable {
        /// The original is to be delivered again to the handlers of the durable.
        case retry(DeadLetterOriginal)
        /// It is not to be retried, for this reason.
        case discard(reason: String)
        /// A handler has the original, and answers or asks for more time within `wait`.
        case delivered(delivery: Int, handler: String, wait: Duration)
        /// The handler has failed; the original is delivered again after this time.
        case failed(delivery: Int, handler: String, after: Duration)
        /// A handler is done with the original.
        case handled(delivery: Int)
        /// The original has failed too often again; it is another dead letter now. `nil` when that was not stored.
        case givenUp(delivery: Int, letter: UInt64?)
        /// The original could not be delivered.
        case undeliverable(reason: String)
    }

    /// The prefix of the subjects, which the durable's name follows.
    static let subjectPrefix = "events.dead_letter."

    /// The dead letter's sequence.
    let letter: UInt64
    /// What was done.
    let action: Action
    /// The sequence of the durable's record before this one; 0 when the stream had none.
    let after: UInt64

    /// The subject of a durable's records.
    static func subject(_ durable: String) -> String { subjectPrefix + durable }

    /// The event that stores the record.
    ///
    /// - Throws: `invalidEventType` for a durable's name that no subject can hold.
    func event(durable: String, node: String, now: Timestamp) throws(MeshEventsError) -> Event {
        let type = try EventType("dead_letter." + durable)
        var members: [(String, JSONValue)] = [
            ("action", .string(actionName)), ("letter", JSONValue(letter)), ("after", JSONValue(after)),
        ]
        switch action {
        case .retry(let original):
            members.append(("sequence", JSONValue(original.sequence)))
            members.append(("stored", .string(original.storedAt.description)))
        case .discard(let reason), .undeliverable(let reason):
            members.append(("reason", .string(String(reason.prefix(Self.longestReason)))))
        case .delivered(let delivery, let handler, let wait):
            members.append(("delivery", JSONValue(delivery)))
            members.append(("handler", .string(handler)))
            members.append(("wait_s", JSONValue(wait / .seconds(1))))
        case .failed(let delivery, let handler, let delay):
            members.append(("delivery", JSONValue(delivery)))
            members.append(("handler", .string(handler)))
            members.append(("again_s", JSONValue(delay / .seconds(1))))
        case .handled(let delivery):
            members.append(("delivery", JSONValue(delivery)))
        case .givenUp(let delivery, let letter):
            members.append(("delivery", JSONValue(delivery)))
            if let letter { members.append(("dead_letter", JSONValue(letter))) }
        }
        return Event(type, node: node, timestamp: now, data: EventData(JSONObject(members)))
    }

    /// The longest reason of a record, in characters.
    static let longestReason = 2000

    private var actionName: String {
        switch action {
        case .retry: "retry"
        case .discard: "discard"
        case .delivered: "delivered"
        case .failed: "failed"
        case .handled: "handled"
        case .givenUp: "given_up"
        case .undeliverable: "undeliverable"
        }
    }

    init(_ letter: UInt64, _ action: Action, after: UInt64) {
        self.letter = letter
        self.action = action
        self.after = after
    }

    /// Reads the data of an event; `nil` when it is no record.
    init?(_ data: EventData) {
        guard let letter = data["letter"]?.uint64, let after = data["after"]?.uint64,
            let action = Action(data["action"]?.string, data)
        else { return nil }
        self.init(letter, action, after: after)
    }
}

/// Which event a dead letter is about.
struct DeadLetterOriginal: Sendable, Hashable {
    /// Its sequence in the stream.
    let sequence: UInt64
    /// When it was stored.
    let storedAt: Timestamp
}

extension DeadLetterRecord.Action {
    /// The longest time in a record: what others wrote must not keep a retry back for ever.
    private static let longestTime: Duration = .seconds(86_400)

    fileprivate init?(_ name: String?, _ data: EventData) {
        let delivery = data["delivery"]?.int ?? 0
        switch name {
        case "retry":
            guard let sequence = data["sequence"]?.uint64, let text = data["stored"]?.string,
                let storedAt = try? Timestamp(rfc3339: text)
            else { return nil }
            self = .retry(DeadLetterOriginal(sequence: sequence, storedAt: storedAt))
        case "discard": self = .discard(reason: data["reason"]?.string ?? "")
        case "undeliverable": self = .undeliverable(reason: data["reason"]?.string ?? "")
        case "delivered":
            guard delivery > 0, let handler = data["handler"]?.string, let wait = Self.time(data["wait_s"]) else {
                return nil
            }
            self = .delivered(delivery: delivery, handler: handler, wait: wait)
        case "failed":
            guard delivery > 0, let handler = data["handler"]?.string, let delay = Self.time(data["again_s"]) else {
                return nil
            }
            self = .failed(delivery: delivery, handler: handler, after: delay)
        case "handled": self = .handled(delivery: delivery)
        case "given_up": self = .givenUp(delivery: delivery, letter: data["dead_letter"]?.uint64)
        default: return nil
        }
    }

    private static func time(_ field: EventData.Field?) -> Duration? {
        guard let seconds = field?.double, seconds >= 0 else { return nil }
        return min(.seconds(min(seconds, 1e9)), longestTime)
    }
}
