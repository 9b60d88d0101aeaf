/// Entries that wait for answers on an inbox. Each has its own number, which its reply subject ends with.
struct NumberedEntries<Entry: Sendable>: Sendable {
    private var entries: [UInt64: Entry] = [:]
    private var lastID: UInt64 = 0
    /// When set, new entries are refused with this error.
    var failure: NATSError?

    var isEmpty: Bool { entries.isEmpty }

    /// All entries, in the order in which they came.
    var all: [(id: UInt64, entry: Entry)] { entries.map { ($0.key, $0.value) }.sorted { $0.id < $1.id } }

    /// The entry of a number; `nil` when it is not there any more.
    subscript(id: UInt64) -> Entry? {
        get { entries[id] }
        _modify { yield &entries[id] }
    }

    /// Adds an entry and returns its number.
    mutating func insert(_ entry: Entry) throws(NATSError) -> UInt64 {
        if let failure { throw failure }
        lastID += 1
        entries[lastID] = entry
        return lastID
    }

    /// Removes an entry; `nil` when it is not there any more.
    mutating func remove(_ id: UInt64) -> Entry? { entries.removeValue(forKey: id) }

    /// The numbers of the entries that match, in no order.
    func ids(where matches: (Entry) -> Bool) -> [UInt64] { entries.filter { matches($0.value) }.map(\.key) }

    /// Removes the entries that match, in the order in which they came.
    mutating func take(where matches: (Entry) -> Bool) -> [Entry] {
        let ids = ids(where: matches).sorted()
        return ids.compactMap { entries.removeValue(forKey: $0) }
    }
}

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
