import MeshEvents
import NATSClient

/// Messages sent one after the other whose acknowledgements come on one reply subject, as a pure value.
///
/// An acknowledgement does not say which message it is for, and each message has one at most. So all of them are stored
/// when as many acknowledgements have come as messages were sent, and since a stream stores and acknowledges in the
/// order of sending, the first is for the first. Whatever casts doubt on that order (an error, or a duplicate among new
/// ones, which a cluster answers ahead of others) means that nothing is known of any: all are sent again, each with a
/// reply subject of its own; what was stored is then found to be a duplicate.
struct AcknowledgementGroup {
    enum Outcome {
        /// All are stored: the index of the first, and where they are, in order.
        case stored(first: Int, [StoredPosition])
        /// So many messages are not known to be stored. The error is theirs only when the group has one message.
        case missed(count: Int, JetStreamError?)
    }

    /// The index of the first message.
    let first: Int
    /// How many messages it may have.
    let limit: Int
    /// Set once the subject is open.
    var reply: SharedReply?
    private(set) var sent = 1
    private var answered = 0
    private var positions: [StoredPosition] = []
    private var error: JetStreamError?
    private var isDoubtful = false

    /// Starts with one message.
    init(first: Int, limit: Int) {
        self.first = first
        self.limit = limit
        if limit > 1 { positions.reserveCapacity(limit) }
    }

    /// Whether the next message may join. None does once answers come, so that a group lasts no longer than an answer
    /// takes.
    var hasRoom: Bool { sent < limit && answered == 0 }

    /// The next message is about to be sent.
    mutating func add() { sent += 1 }

    /// The last message was not sent after all.
    mutating func withdraw() -> Outcome? {
        sent -= 1
        return outcome
    }

    /// An answer to one of the messages.
    mutating func answer(_ result: Result<StoredPosition, JetStreamError>) -> Outcome? {
        answered += 1
        switch result {
        case .success(let position):
            if let last = positions.last {
                isDoubtful =
                    isDoubtful || last.isDuplicate != position.isDuplicate
                    || !position.isDuplicate && last.sequence >= position.sequence
            }
            positions.append(position)
        case .failure(let error):
            isDoubtful = true
            self.error = error
        }
        return outcome
    }

    /// Nothing more comes.
    func ended(_ error: JetStreamError) -> Outcome { .missed(count: sent, limit == 1 ? error : nil) }

    private var outcome: Outcome? {
        guard answered >= sent else { return nil }
        return isDoubtful || answered > sent
            ? .missed(count: sent, limit == 1 ? error : nil) : .stored(first: first, positions)
    }
}
