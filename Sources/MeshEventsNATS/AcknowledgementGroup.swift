import MeshEvents
import NATSClient

/// Messages sent one after the other whose acknowledgements come on one reply subject, as a pure value.
///
/// An acknowledgement does not say which message it is for, and each message has one at most. So all of them are stored
/// when as many acknowledgements have come as messages were sent, and since a stream stores and acknowledges in the
/// order of sending, the first is for the first. Whatever casts doubt on that order (an error, or a duplicate among new
/// ones, which a cluster answers ahead of others) means that nothing is known of any: all are sent again, each with a
/// reply subject of its own; what was stored is then found to be a duplicate.
///
/// A duplicate among messages that were never sent before is another party's message with the id of one of them, which is
/// not stored. To which of several an acknowledgement belongs is not certain, so the group is refused as a whole.
struct AcknowledgementGroup {
    enum Outcome {
        /// All are stored: the index of the first, and where they are, in order.
        case stored(first: Int, [StoredPosition])
        /// So many messages are not known to be stored. The error is theirs only when the group has one message.
        case missed(count: Int, JetStreamError?)
        /// Of so many messages, sent for the first time, at least one is not stored: another has its id, at this position.
        case refused(count: Int, StoredPosition)
    }

    /// The index of the first message.
    let first: Int
    /// How many messages it may have.
    let limit: Int
    /// Whether its messages may be stored already.
    let mayBeStored: Bool
    /// Set once the subject is open.
    var reply: SharedReply?
    /// Its messages' bytes.
    private var bytes: Int
    private(set) var sent = 1
    private var answered = 0
    private var positions: [StoredPosition] = []
    private var error: JetStreamError?
    private var isDoubtful = false
    /// A duplicate among messages that cannot be one.
    private var stranger: StoredPosition?

    /// Starts with one message.
    init(first: Int, limit: Int, mayBeStored: Bool = false, bytes: Int = 0) {
        self.bytes = bytes
        self.first = first
        self.limit = limit
        self.mayBeStored = mayBeStored
        if limit > 1 { positions.reserveCapacity(limit) }
    }

    /// Whether the next message may join. None does once answers come, so that a group lasts no longer than an answer
    /// takes.
    var hasRoom: Bool { sent < limit && answered == 0 && bytes < Self.mostBytes }

    /// With so many bytes a group takes no further message: on a slow link it would take seconds, and nothing of any of
    /// them would be known meanwhile.
    private static let mostBytes = 32 << 10

    /// The next message is about to be sent.
    mutating func add(bytes: Int = 0) {
        sent += 1
        self.bytes += bytes
    }

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
            if position.isDuplicate, !mayBeStored, stranger == nil { stranger = position }
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
    func ended(_ error: JetStreamError) -> Outcome {
        stranger.map { .refused(count: sent, $0) } ?? .missed(count: sent, limit == 1 ? error : nil)
    }

    private var outcome: Outcome? {
        guard answered >= sent else { return nil }
        if let stranger { return .refused(count: sent, stranger) }
        return isDoubtful || answered > sent
            ? .missed(count: sent, limit == 1 ? error : nil) : .stored(first: first, positions)
    }
}
