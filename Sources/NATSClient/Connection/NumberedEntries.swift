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
