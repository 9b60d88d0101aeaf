/// The members of a JSON object: names are unique and in byte order, as Go writes maps.
public struct JSONObject: Sendable {
    private let storage: [(String, JSONValue)]

    /// Creates an object; of members with the same name, the last wins.
    public init(_ members: [(String, JSONValue)]) {
        storage = members.withUnsafeBufferPointer { Self.isOrdered($0) } ? members : Self.ordered(members)
    }

    /// Whether names are unique and in byte order.
    static func isOrdered(_ members: UnsafeBufferPointer<(String, JSONValue)>) -> Bool {
        var index = 1
        while index < members.count {
            if !members[index &- 1].0.precedesInByteOrder(members[index].0) { return false }
            index &+= 1
        }
        return true
    }

    /// Creates an object from a dictionary.
    public init(_ dictionary: [String: JSONValue]) {
        // A dictionary may hold no two canonically equivalent keys, so names stay unique.
        storage = dictionary.map { ($0.key, $0.value) }.sorted { $0.0.precedesInByteOrder($1.0) }
    }

    private static func ordered(_ members: [(String, JSONValue)]) -> [(String, JSONValue)] {
        let indexes = members.indices.sorted { left, right in
            if members[left].0.precedesInByteOrder(members[right].0) { return true }
            return left < right && members[left].0.hasSameBytes(as: members[right].0)
        }
        var result: [(String, JSONValue)] = []
        result.reserveCapacity(members.count)
        for index in indexes {
            if let last = result.last, last.0.hasSameBytes(as: members[index].0) { result.removeLast() }
            result.append(members[index])
        }
        return result
    }

    /// The names, in byte order.
    public var keys: [String] { storage.map(\.0) }

    /// The member of this name.
    public subscript(key: String) -> JSONValue? {
        var low = 0
        var high = storage.count
        while low < high {
            let middle = (low + high) / 2
            if storage[middle].0.precedesInByteOrder(key) { low = middle + 1 } else { high = middle }
        }
        guard low < storage.count, storage[low].0.hasSameBytes(as: key) else { return nil }
        return storage[low].1
    }

    func write(to writer: inout JSONWriter) {
        storage.withUnsafeBufferPointer { Self.write($0, to: &writer) }
    }

    /// Writes members that are in order.
    static func write(_ members: UnsafeBufferPointer<(String, JSONValue)>, to writer: inout JSONWriter) {
        writer.open(UInt8(ascii: "{"))
        if writer.problem != .tooDeep {
            var index = 0
            while index < members.count {
                if index > 0 { writer.write(UInt8(ascii: ",")) }
                writer.name(members[index].0)
                members[index].1.write(to: &writer)
                index &+= 1
            }
        }
        writer.close(UInt8(ascii: "}"))
    }
}

extension JSONObject: RandomAccessCollection {
    /// The first index, 0.
    public var startIndex: Int { 0 }
    /// How many members there are.
    public var endIndex: Int { storage.count }
    /// A member; the index must be in range.
    public subscript(position: Int) -> (key: String, value: JSONValue) { storage[position] }
}

extension JSONObject: Hashable, ExpressibleByDictionaryLiteral {
    /// Creates an object; of members with the same name, the last wins.
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements) }

    /// Whether both have the same members.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count
            && zip(left, right).allSatisfy { $0.key.hasSameBytes(as: $1.key) && $0.value == $1.value }
    }

    /// Hashes the members.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        for (key, value) in self {
            hasher.combine(key)
            hasher.combine(value)
        }
    }
}
