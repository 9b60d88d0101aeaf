import MeshEvents

/// A durable subscription of a stream with JetStream's rules: explicit answers, redelivery after the acknowledgement
/// wait, redeliveries first. A pure value.
struct InMemoryDurable: Sendable {
    private struct Pending {
        var deliveries: Int
        /// When it is delivered again.
        var due: Timestamp
    }

    private(set) var configuration: DurableDefinition
    private var nextSequence: UInt64
    private var pending: [UInt64: Pending] = [:]

    /// - Parameters:
    ///   - kept: the stream's messages.
    ///   - last: the stream's last sequence.
    init(_ configuration: DurableDefinition, kept: ArraySlice<StoredMessage>, last: UInt64) {
        self.configuration = configuration
        nextSequence =
            switch configuration.start {
            case .beginning: 1
            case .new: last + 1
            case .sequence(let sequence): sequence
            case .time(let time): kept.first { $0.storedAt >= time }?.sequence ?? last + 1
            }
    }

    /// Changes the settings and keeps the position.
    mutating func update(_ configuration: DurableDefinition) {
        let start = self.configuration.start
        self.configuration = configuration
        self.configuration.start = start
    }

    /// A description of the durable, with its position.
    func report(kept: ArraySlice<StoredMessage>) -> StreamReport.Consumer {
        let start = kept.partitioningIndex { $0.sequence >= nextSequence }
        let waiting = kept[start...].count { configuration.pattern.matches(subject: $0.subject) }
        return StreamReport.Consumer(
            name: configuration.name,
            isDurable: true,
            filters: configuration.pattern == .all ? [] : [configuration.pattern.subject],
            pending: UInt64(waiting),
            unacknowledged: pending.count,
            redelivered: pending.values.count { $0.deliveries > 1 }
        )
    }

    /// When the next unanswered message is due to be delivered again.
    var nextDue: Timestamp? { pending.values.lazy.map(\.due).min() }

    /// The messages to deliver now.
    mutating func fetch(_ limit: Int, from kept: ArraySlice<StoredMessage>, now: Timestamp) -> [DurableMessage] {
        var messages: [DurableMessage] = []
        let due = pending.filter { $0.value.due <= now }.sorted { ($0.value.due, $0.key) < ($1.value.due, $1.key) }
        for (sequence, entry) in due where messages.count < limit {
            guard let stored = Self.message(sequence, in: kept) else {
                // The stream's limits have dropped it.
                pending[sequence] = nil
                continue
            }
            messages.append(deliver(stored, entry.deliveries + 1, now))
        }
        let start = kept.partitioningIndex { $0.sequence >= nextSequence }
        for stored in kept[start...] where messages.count < limit {
            nextSequence = stored.sequence + 1
            guard configuration.pattern.matches(subject: stored.subject) else { continue }
            messages.append(deliver(stored, 1, now))
        }
        return messages
    }

    /// Takes an answer; an answer to a message that is not pending changes nothing.
    mutating func answer(_ token: String, _ answer: DurableAnswer, now: Timestamp) {
        guard let sequence = UInt64(token), pending[sequence] != nil else { return }
        switch answer {
        case .acknowledge, .terminate: pending[sequence] = nil
        case .redeliver(let delay): pending[sequence]?.due = now.adding(delay)
        case .inProgress: pending[sequence]?.due = now.adding(configuration.acknowledgementWait)
        }
    }

    private mutating func deliver(_ stored: StoredMessage, _ deliveries: Int, _ now: Timestamp) -> DurableMessage {
        let due = now.adding(configuration.acknowledgementWait)
        pending[stored.sequence] = Pending(deliveries: deliveries, due: due)
        return DurableMessage(stored: stored, deliveries: deliveries, token: "\(stored.sequence)")
    }

    private static func message(_ sequence: UInt64, in kept: ArraySlice<StoredMessage>) -> StoredMessage? {
        let index = kept.partitioningIndex { $0.sequence >= sequence }
        return index < kept.endIndex && kept[index].sequence == sequence ? kept[index] : nil
    }
}

extension ArraySlice {
    /// The first index from which all elements fulfil the condition.
    fileprivate func partitioningIndex(where holds: (Element) -> Bool) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if holds(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
