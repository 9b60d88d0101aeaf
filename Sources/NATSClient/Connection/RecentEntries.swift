/// What was answered lately, by number: the asker looks at answers that come after the first, for one message has one
/// answer unless several streams take it.
struct RecentEntries<Value: Sendable>: Sendable {
    /// How many are kept; an answer that comes later than that is looked at no more.
    static var capacity: Int { 256 }

    private var entries: [(id: UInt64, value: Value)] = []
    private var next = 0

    /// Adds a value; the one whose place it takes, to be released outside a lock.
    mutating func insert(_ id: UInt64, _ value: Value) -> Value? {
        guard entries.count == Self.capacity else {
            entries.append((id, value))
            return nil
        }
        let replaced = entries[next].value
        entries[next] = (id, value)
        next = (next + 1) % Self.capacity
        return replaced
    }

    /// The value of a number; `nil` when it is not kept any more.
    subscript(id: UInt64) -> Value? { entries.last { $0.id == id }?.value }
}
