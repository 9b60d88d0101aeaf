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
    private var order: [Key] = []
    private var next = 0

    init(capacity: Int = 8192) { self.capacity = max(capacity, 1) }

    /// The answer to the event; `nil` when there was none, or too long ago.
    func answer(to key: Key) -> DurableAnswer? { answers[key] }

    /// Remembers an answer; replaces the oldest one when the capacity is reached.
    mutating func insert(_ key: Key, _ answer: DurableAnswer) {
        guard answers.updateValue(answer, forKey: key) == nil else { return }
        if order.count < capacity {
            order.append(key)
        } else {
            answers[order[next]] = nil
            order[next] = key
            next = (next + 1) % capacity
        }
    }
}
