import MeshJSON

/// The members of a JSON object: names are unique and in byte order, as Go writes maps.
public struct JSONObject: Sendable {
    /// The members; those of a literal in the order of the source code. Most literals are only written, and writing
    /// checks the order anyway.
    private let given: [(String, JSONValue)]
    /// Whether `given` is known to be in order.
    private let isOrdered: Bool

    /// Creates an object; of members with the same name, the last wins.
    public init(_ members: [(String, JSONValue)]) {
        given = Self.ordered(members)
        isOrdered = true
    }

    /// Creates an object from a dictionary.
    public init(_ dictionary: [String: JSONValue]) {
        // A dictionary may hold no two canonically equivalent keys, so names stay unique.
        given = dictionary.map { ($0.key, $0.value) }.sorted { $0.0.precedesInByteOrder($1.0) }
        isOrdered = true
    }

    /// Creates an object from a literal's members.
    init(literal members: [(String, JSONValue)]) {
        given = members
        isOrdered = false
    }

    private var members: [(String, JSONValue)] { isOrdered ? given : Self.ordered(given) }

    /// Whether names are unique and in byte order.
    private static func isOrdered(_ members: some Collection<(String, JSONValue)>) -> Bool {
        zip(members, members.dropFirst()).allSatisfy { $0.0.precedesInByteOrder($1.0) }
    }

    private static func ordered(_ members: [(String, JSONValue)]) -> [(String, JSONValue)] {
        if isOrdered(members) { return members }
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
    public var keys: [String] { members.map(\.0) }

    /// The names and values, in byte order of the names.
    package var elements: [(name: String, value: JSONValue)] { members.map { (name: $0.0, value: $0.1) } }

    /// The member of this name.
    public subscript(key: String) -> JSONValue? {
        given.last { $0.0.hasSameBytes(as: key) }?.1
    }

    func write(to writer: inout JSONWriter) {
        given.withUnsafeBufferPointer { Self.write($0, to: &writer) }
    }

    /// Writes members that may be in any order; of members with the same name, the last.
    static func write(_ members: UnsafeBufferPointer<(String, JSONValue)>, to writer: inout JSONWriter) {
        let before = writer
        if write(members, to: &writer, untilDisorder: true) { return }
        writer = before
        ordered(Array(members)).withUnsafeBufferPointer { _ = write($0, to: &writer, untilDisorder: false) }
    }

    /// - Returns: `false` when members may be out of order; then the bytes written must not be used.
    private static func write(
        _ members: UnsafeBufferPointer<(String, JSONValue)>,
        to writer: inout JSONWriter,
        untilDisorder: Bool
    ) -> Bool {
        writer.open(UInt8(ascii: "{"))
        if writer.problem != .tooDeep {
            var untilDisorder = untilDisorder
            var previous: JSONWriter.Name?
            for index in members.indices {
                if index > 0 { writer.write(UInt8(ascii: ",")) }
                let name = writer.name(members[index].0)
                if untilDisorder, let previous, !writer.isOrdered(previous, name) { return false }
                previous = name
                // The usual kinds are written here, since a call of `write(to:)` would copy the value.
                switch members[index].1 {
                case .number(let number): number.write(to: &writer)
                case .string(let string): writer.string(string)
                case .bool(let bool): writer.write(bool ? "true" : "false")
                case let value:
                    // A level in disorder writes its members twice, and so do the levels inside it. So deep levels
                    // check the order first.
                    if untilDisorder, writer.isDeep {
                        guard isOrdered(members[index...]) else { return false }
                        untilDisorder = false
                    }
                    value.write(to: &writer)
                }
            }
        }
        writer.close(UInt8(ascii: "}"))
        return true
    }
}

extension JSONObject: RandomAccessCollection {
    /// The first index, 0.
    public var startIndex: Int { 0 }
    /// How many members there are.
    public var endIndex: Int { members.count }
    /// A member; the index must be in range.
    public subscript(position: Int) -> (key: String, value: JSONValue) { members[position] }

    /// The members, one after the other.
    public struct Iterator: IteratorProtocol {
        private var base: IndexingIterator<[(String, JSONValue)]>

        fileprivate init(_ members: [(String, JSONValue)]) { base = members.makeIterator() }

        /// The next member.
        public mutating func next() -> (key: String, value: JSONValue)? { base.next() }
    }

    /// Goes through the members, in order.
    public func makeIterator() -> Iterator { Iterator(members) }
}

extension JSONObject: Hashable, ExpressibleByDictionaryLiteral {
    /// Creates an object; of members with the same name, the last wins.
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(literal: elements) }

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
