import MeshEvents

/// A message that was sent, and of which it is not known whether it is stored.
struct UncertainMessage {
    let index: Int
    let messageID: String
    let subject: String
    let first: FirstSending
    /// Whether the stream may have forgotten its id.
    let isForgotten: Bool

    init(_ message: PendingMessage, _ index: Int, _ first: FirstSending, isForgotten: Bool) {
        self.index = index
        messageID = message.messageID
        subject = message.subject
        self.first = first
        self.isForgotten = isForgotten
    }
}

/// What was found in the stream of messages that may be stored.
struct FoundMessages {
    /// What became of each.
    struct Outcome {
        /// Those that are stored, and where; or at which place one that has replaced it is.
        var stored: [(index: Int, sequence: UInt64, isReplaced: Bool)] = []
        /// Those that are not stored: what is sent again is stored once.
        var absent: [Int] = []
        /// Whether of one of them nothing can be known.
        var isUnknown = false
    }

    /// Where those are that are stored, by their ids.
    let positions: [String: UInt64]
    /// The others are not stored at this sequence or before.
    let last: StreamPosition
    /// Whether the stream has lost messages among which the others may have been.
    let hasGaps: Bool

    /// What became of messages, in the order in which they were sent.
    ///
    /// Where a stream keeps only so many messages of each subject, one that so many later ones of its subject have followed
    /// would be gone by now, stored or not; sent again it would stand behind those that follow it. It counts as stored by
    /// this sending, at the place of the next of its subject.
    ///
    /// - Parameter subjectLimit: how many messages of each subject the stream keeps; `nil` for any number.
    func outcome(of messages: [UncertainMessage], subjectLimit: Int?) -> Outcome {
        var outcome = Outcome()
        // The places of later messages of each subject.
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
