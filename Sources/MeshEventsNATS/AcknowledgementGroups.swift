import MeshEvents
import NATSClient

/// The groups of messages under way, by a number of their own; the newest takes further messages.
struct AcknowledgementGroups {
    private var groups: [Int: AcknowledgementGroup] = [:]
    private var newest = 0

    /// A place for a message that is about to be sent.
    struct Place {
        let group: Int
        /// Where its answer goes; `nil` when the subject must be opened first.
        let reply: SharedReply?
    }

    /// What is left to do with a message that was not sent.
    enum Withdrawal {
        /// It is as if it had never been in a group, which may be complete without it.
        case done(AcknowledgementGroup.Outcome?)
        /// Its group has ended meanwhile, and counted it among the missed.
        case missed
    }

    /// Adds a message to the newest group when that has room and holds messages of its kind, else to a new one.
    mutating func add(_ index: Int, limit: Int, mayBeStored: Bool = false, bytes: Int = 0) -> Place {
        if let group = groups[newest], group.hasRoom, group.mayBeStored == mayBeStored, let reply = group.reply {
            groups[newest]?.add(bytes: bytes)
            return Place(group: newest, reply: reply)
        }
        newest += 1
        groups[newest] = AcknowledgementGroup(first: index, limit: limit, mayBeStored: mayBeStored, bytes: bytes)
        return Place(group: newest, reply: nil)
    }

    /// The subject of a new group is open; `false` when the group has ended meanwhile.
    mutating func opened(_ reply: SharedReply, for group: Int) -> Bool {
        groups[group]?.reply = reply
        return groups[group] != nil
    }

    /// Where the answers of a group go; `nil` when it has ended, or is not open yet.
    func reply(of group: Int) -> SharedReply? { groups[group]?.reply }

    /// The messages of a group; none when it has ended.
    func indexes(of group: Int) -> Range<Int> {
        guard let group = groups[group] else { return 0..<0 }
        return group.first..<group.first + group.sent
    }

    /// The message added last was not sent after all.
    mutating func withdraw(from group: Int) -> Withdrawal {
        guard let outcome = groups[group]?.withdraw() else { return groups[group] == nil ? .missed : .done(nil) }
        groups[group] = nil
        if case .stored(_, let positions) = outcome, positions.isEmpty { return .done(nil) }
        return .done(outcome)
    }

    /// An answer for a group; its outcome when that was the last.
    mutating func answer(
        _ group: Int,
        _ result: Result<StoredPosition, JetStreamError>
    ) -> AcknowledgementGroup.Outcome? {
        guard let outcome = groups[group]?.answer(result) else { return nil }
        groups[group] = nil
        return outcome
    }

    /// Nothing more comes for a group.
    mutating func ended(_ group: Int, _ error: JetStreamError) -> AcknowledgementGroup.Outcome? {
        groups.removeValue(forKey: group)?.ended(error)
    }
}
