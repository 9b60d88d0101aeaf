/// Remembers the newest events that were answered for good, so that one that comes again because its answer got lost
/// is answered again and not handled again. A pure value of bounded size.
struct HandledEvents {
    /// A sequence alone is not enough: a stream that was deleted and made anew gives the same ones.
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

    /// How the event was answered; `nil` when it was not, or too long ago.
    func answer(to key: Key) -> DurableAnswer? { answers[key] }

    /// Remembers an answer; the oldest is forgotten when there are too many.
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
