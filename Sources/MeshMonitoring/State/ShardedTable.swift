/// A table by name whose copies share their shards: a change while a copy exists copies one shard, not the whole table.
struct ShardedTable<Value: Sendable & Equatable>: Sendable {
    /// Up to this number of names the table has one shard.
    private static var smallest: Int { 32 }

    private let width: Int
    private var shards: [[String: Value]] = [[:]]
    /// How many names there are.
    private(set) var count = 0

    /// - Parameter width: how many shards a large table has.
    init(width: Int) { self.width = width }

    /// Whether there is no name.
    var isEmpty: Bool { count == 0 }

    /// How many names a shard has, on average, from 1.
    var shardSize: Int { count / shards.count + 1 }

    /// The value of a name.
    subscript(name: String) -> Value? { shards[shard(of: name)][name] }

    /// Changes the value of a name in place; `initial` stands in for one that is missing.
    mutating func update<Result>(
        _ name: String,
        default initial: @autoclosure () -> Value,
        _ body: (inout Value) -> Result
    ) -> Result {
        let index = shard(of: name)
        let before = shards[index].count
        let result = body(&shards[index][name, default: initial()])
        count += shards[index].count - before
        if count > Self.smallest, shards.count == 1, width > 1 { split() }
        return result
    }

    /// Removes a name and returns its value.
    @discardableResult
    mutating func remove(_ name: String) -> Value? {
        guard let value = shards[shard(of: name)].removeValue(forKey: name) else { return nil }
        count -= 1
        return value
    }

    /// Any of the names.
    var anyName: String? { shards.lazy.compactMap(\.keys.first).first }

    /// The names and their values, in no order.
    var all: [(name: String, value: Value)] {
        var all: [(name: String, value: Value)] = []
        all.reserveCapacity(count)
        for shard in shards { for (name, value) in shard { all.append((name, value)) } }
        return all
    }

    private func shard(of name: String) -> Int {
        shards.count == 1 ? 0 : Int(UInt(bitPattern: name.hashValue) % UInt(shards.count))
    }

    private mutating func split() {
        let old = all
        shards = Array(repeating: [:], count: width)
        for (name, value) in old { shards[shard(of: name)][name] = value }
    }
}

extension ShardedTable: Equatable {
    /// Whether the same names have the same values.
    static func == (left: Self, right: Self) -> Bool {
        guard left.count == right.count else { return false }
        if left.shards.count == right.shards.count { return left.shards == right.shards }
        return left.all.allSatisfy { right[$0.name] == $0.value }
    }
}
