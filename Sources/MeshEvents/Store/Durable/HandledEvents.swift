/// Remembers the newest final answers. When an answer was lost and its event is delivered again, the event is answered
/// again and not handled again. A pure value of bounded size.
struct HandledEvents {
    /// A sequence alone is not enough: a stream that was deleted and created again assigns the same sequences.
    struct Key: Hashable {
        let sequence: UInt64
        let storedAt: Timestamp

        init(_ message: DurableMessage) {
            sequence = message.stored.sequence
            storedAt = message.stored.storedAt
        }
    }

    private let capacity: Int
    private var answers: [Key: DurableAnswer] = [:]
    /// The events whose answer the store has not confirmed yet.
    private var unconfirmed: Set<Key> = []
    private var order: [Key] = []
    private var next = 0

    init(capacity: Int = 8192) { self.capacity = max(capacity, 1) }

    /// The answer to the event; `nil` when there was none, or too long ago.
    func answer(to key: Key) -> DurableAnswer? { answers[key] }

    /// Notes that the store has confirmed the answer to an event.
    ///
    /// - Returns: whether this is the first confirmation.
    mutating func confirm(_ key: Key) -> Bool { unconfirmed.remove(key) != nil || answers[key] == nil }

    /// Whether the store has confirmed the answer to an event, for any of its deliveries.
    func isConfirmed(_ key: Key) -> Bool { answers[key] != nil && !unconfirmed.contains(key) }

    /// Remembers an answer; replaces the oldest one when the capacity is reached.
    ///
    /// - Parameter isConfirmed: `false` when the answer is about to be sent.
    mutating func insert(_ key: Key, _ answer: DurableAnswer, isConfirmed: Bool = true) {
        guard answers.updateValue(answer, forKey: key) == nil else { return }
        if !isConfirmed { unconfirmed.insert(key) }
        if order.count < capacity {
            order.append(key)
        } else {
            answers[order[next]] = nil
            unconfirmed.remove(order[next])
            order[next] = key
            next = (next + 1) % capacity
        }
    }
}
