/// Values of the entries that were answered last, by number. They receive answers that come after the first: a message
/// has one answer, unless several streams take it.
struct RecentEntries<Value: Sendable>: Sendable {
    /// How many are kept; answers to older entries are ignored.
    static var capacity: Int { 256 }

    private var entries: [(id: UInt64, value: Value)] = []
    private var next = 0

    /// Adds a value; returns the one it replaces, for the caller to release outside a lock.
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
