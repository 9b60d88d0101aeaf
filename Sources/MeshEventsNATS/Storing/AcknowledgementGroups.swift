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
        if case .stored(_, let positions) = outcome, positions.isEmpty { return .done(nil) }
        return .done(outcome)
    }

    /// Passes an answer to a group; returns the outcome when it was the last.
    mutating func answer(
        _ group: Int,
        _ result: Result<StoredPosition, JetStreamError>
    ) -> AcknowledgementGroup.Outcome? {
        guard let outcome = groups[group]?.answer(result) else { return nil }
        groups[group] = nil
        return outcome
    }

    /// Ends a group for which no more answers come.
    mutating func ended(_ group: Int, _ error: JetStreamError) -> AcknowledgementGroup.Outcome? {
        groups.removeValue(forKey: group)?.ended(error)
    }
}
