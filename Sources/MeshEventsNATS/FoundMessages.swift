import MeshEvents

/// A message that was sent, while it is not known whether it is stored.
struct UncertainMessage {
    let index: Int
    let messageID: String
    let subject: String
    let first: FirstSending
    /// Whether the stream may have forgotten its message id.
    let isForgotten: Bool

    init(_ message: PendingMessage, _ index: Int, _ first: FirstSending, isForgotten: Bool) {
        self.index = index
        messageID = message.messageID
        subject = message.subject
        self.first = first
        self.isForgotten = isForgotten
    }
}

/// The result of a search in the stream for messages that may be stored.
struct FoundMessages {
    /// What became of each message.
    struct Outcome {
        /// The stored messages and their sequences; for one that was replaced, the sequence of the message that
        /// replaced it.
        var stored: [(index: Int, sequence: UInt64, isReplaced: Bool)] = []
        /// The messages that are not stored: sent again, they are stored once.
        var absent: [Int] = []
        /// Whether nothing can be known about one of the messages.
        var isUnknown = false
    }

    /// The sequences of the stored messages, by message id.
    let positions: [String: UInt64]
    /// The other messages are not stored at this sequence or before.
    let last: StreamPosition
    /// Whether the stream has lost messages, which may have included the others.
    let hasGaps: Bool

    /// Decides what became of messages, in the order in which they were sent.
    ///
    /// A stream may keep only so many messages of each subject. A message that was followed by that many later ones on
    /// its subject would be gone by now, stored or not; sent again, it would come after those that follow it. It counts
    /// as stored by this sending, at the position of the next message of its subject.
    ///
    /// - Parameter subjectLimit: how many messages of each subject the stream keeps; `nil` for any number.
    func outcome(of messages: [UncertainMessage], subjectLimit: Int?) -> Outcome {
        var outcome = Outcome()
        // The sequences of later messages, by subject.
        var later: [String: [UInt64]] = [:]
        for message in messages.reversed() {
            if let sequence = positions[message.messageID] {
                later[message.subject, default: []].append(sequence)
                outcome.stored.append((message.index, sequence, false))
            } else if !hasGaps {
                outcome.absent.append(message.index)
            } else if let subjectLimit, let followers = later[message.subject], followers.count >= subjectLimit,
                let next = followers.last
            {
                outcome.stored.append((message.index, next, true))
            } else if message.isForgotten {
                outcome.isUnknown = true
            }
        }
        outcome.stored.reverse()
        outcome.absent.reverse()
        return outcome
    }
}
