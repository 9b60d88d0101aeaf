import MeshEvents
import NATSClient

/// The groups of messages under way, by number; the newest group takes further messages.
struct AcknowledgementGroups {
    private var groups: [Int: AcknowledgementGroup] = [:]
    private var newest = 0

    /// A place for a message that is about to be sent.
    struct Place {
        let group: Int
        /// The reply subject of its answer; `nil` when the subject must be opened first.
        let reply: SharedReply?
    }

    /// The result of removing a message that was not sent.
    enum Withdrawal {
        /// The message has left its group. The group may be complete without it: then this has its outcome.
        case done(AcknowledgementGroup.Outcome?)
        /// Its group has ended meanwhile, and has counted it among the missed.
        case missed
    }

    /// Adds a message to the newest group when that has room and messages of the same kind, else to a new one.
    mutating func add(_ index: Int, limit: Int, mayBeStored: Bool = false, bytes: Int = 0) -> Place {
        if let group = groups[newest], group.hasRoom, group.mayBeStored == mayBeStored, let reply = group.reply {
            groups[newest]?.add(bytes: bytes)
            return Place(group: newest, reply: reply)
        }
        newest += 1
        groups[newest] = AcknowledgementGroup(first: index, limit: limit, mayBeStored: mayBeStored, bytes: bytes)
        return Place(group: newest, reply: nil)
    }

    /// Notes that the subject of a new group is open; `false` when the group has ended meanwhile.
    mutating func opened(_ reply: SharedReply, for group: Int) -> Bool {
        groups[group]?.reply = reply
        return groups[group] != nil
    }

    /// The reply subject of a group; `nil` when the group has ended, or is not open yet.
    func reply(of group: Int) -> SharedReply? { groups[group]?.reply }

    /// The indexes of a group's messages; empty when the group has ended.
    func indexes(of group: Int) -> Range<Int> {
        guard let group = groups[group] else { return 0..<0 }
        return group.first..<group.first + group.sent
    }

    /// Removes the message added last, which was not sent after all.
    mutating func withdraw(from group: Int) -> Withdrawal {
        guard let outcome = groups[group]?.withdraw() else { return groups[group] == nil ? .missed : .done(nil) }
        groups[group] = nil
        if case .stored(_, let positions, _) = outcome, positions.isEmpty { return .done(nil) }
        return .done(outcome)
    }

    /// Passes an answer to a group; returns the outcome when it was the last.
    ///
    /// - Parameter isProven: whether the answer is known to come from the opened stream.
    mutating func answer(
        _ group: Int,
        _ result: Result<StoredPosition, JetStreamError>,
        isProven: Bool = true
    ) -> AcknowledgementGroup.Outcome? {
        guard let outcome = groups[group]?.answer(result, isProven: isProven) else { return nil }
        groups[group] = nil
        return outcome
    }

    /// Ends a group for which no more answers come.
    mutating func ended(_ group: Int, _ error: JetStreamError) -> AcknowledgementGroup.Outcome? {
        groups.removeValue(forKey: group)?.ended(error)
    }
}

/// Messages sent one after the other whose acknowledgements come on one reply subject; a pure value.
///
/// An acknowledgement does not say which message it is for, and each message has one at most. So all messages are
/// stored when as many acknowledgements as messages have come. A stream stores and acknowledges in the order of
/// sending, so the first acknowledgement is for the first message. An error casts doubt on that order; so does a
/// duplicate among new messages, which a cluster answers ahead of others. Then no message is known to be stored, and
/// all are sent again, each with its own reply subject. Those that were stored are then found to be duplicates.
///
/// A duplicate among messages that were never sent before means that another party's message has the id of one of them,
/// which is therefore not stored. It is not certain which message that acknowledgement is for, so the whole group is
/// refused.
struct AcknowledgementGroup {
    enum Outcome {
        /// All are stored: the index of the first message, and the positions in order; `isProven` when all answers are known
        /// to come from the opened stream.
        case stored(first: Int, [StoredPosition], isProven: Bool)
        /// This many messages are not known to be stored. The error belongs to a message only when the group has one.
        case missed(count: Int, JetStreamError?)
        /// Of this many messages, sent for the first time, at least one is not stored: another has its id, at this
        /// position.
        case refused(count: Int, StoredPosition)
    }

    /// The index of the first message.
    let first: Int
    /// The most messages it may have.
    let limit: Int
    /// Whether its messages may be stored already.
    let mayBeStored: Bool
    /// Set once the reply subject is open.
    var reply: SharedReply?
    /// The bytes of its messages.
    private var bytes: Int
    private(set) var sent = 1
    private var answered = 0
    private var positions: [StoredPosition] = []
    private var error: JetStreamError?
    private var isDoubtful = false
    private var isProven = true
    /// The answer to a message that cannot be a duplicate, but was reported as one.
    private var stranger: StoredPosition?

    /// Starts with one message.
    init(first: Int, limit: Int, mayBeStored: Bool = false, bytes: Int = 0) {
        self.bytes = bytes
        self.first = first
        self.limit = limit
        self.mayBeStored = mayBeStored
        if limit > 1 { positions.reserveCapacity(limit) }
    }

    /// Whether the next message may join. None joins once answers come, so that a group lasts no longer than an answer
    /// takes.
    var hasRoom: Bool { sent < limit && answered == 0 && bytes < Self.mostBytes }

    /// A group of this many bytes takes no further message: on a slow link it would take seconds, and until then none
    /// of its messages would be known to be stored.
    private static let mostBytes = 32 << 10

    /// Adds a message that is about to be sent.
    mutating func add(bytes: Int = 0) {
        sent += 1
        self.bytes += bytes
    }

    /// Removes the last message, which was not sent after all; returns the outcome when the group is complete without
    /// it.
    mutating func withdraw() -> Outcome? {
        sent -= 1
        return outcome
    }

    /// Takes an answer to one of the messages; returns the outcome when it was the last.
    mutating func answer(_ result: Result<StoredPosition, JetStreamError>, isProven: Bool = true) -> Outcome? {
        answered += 1
        self.isProven = self.isProven && isProven
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

    /// Returns the outcome when no more answers come.
    func ended(_ error: JetStreamError) -> Outcome {
        stranger.map { .refused(count: sent, $0) } ?? .missed(count: sent, limit == 1 ? error : nil)
    }

    private var outcome: Outcome? {
        guard answered >= sent else { return nil }
        if let stranger { return .refused(count: sent, stranger) }
        return isDoubtful || answered > sent
            ? .missed(count: sent, limit == 1 ? error : nil) : .stored(first: first, positions, isProven: isProven)
    }
}
