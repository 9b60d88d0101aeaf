import MeshJSON

extension EventData {
    /// A value inside an event's data, as a range of its text. Each accessor parses the text when it is called; no tree
    /// is built. Each accessor is `nil` when the value is of another kind.
    public struct Field: Sendable {
        private let text: String
        private let start: Int
        private let end: Int

        init(text: String, start: Int, end: Int) {
            self.text = text
            self.start = start
            self.end = end
        }

        static func member(named key: String, of text: String, start: Int, end: Int) -> Field? {
            let range = text.withBytes { bytes in
                key.withBytes { JSONNavigator(bytes: bytes).member(named: $0, ofObjectAt: start..<end) }
            }
            guard let range else { return nil }
            return Field(text: text, start: range.lowerBound, end: range.upperBound)
        }

        @inline(__always)
        private func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
            text.withBytes { body(UnsafeBufferPointer(rebasing: $0[start..<end])) }
        }

        @inline(__always)
        private var first: UInt8 { withBytes { $0.first ?? 0 } }

        @inline(__always)
        private func number<Value>(_ read: (UnsafeBufferPointer<UInt8>) -> Value?) -> Value? {
            withBytes { bytes in
                guard let first = bytes.first, first == UInt8(ascii: "-") || first &- UInt8(ascii: "0") <= 9 else {
                    return nil
                }
                return read(bytes)
            }
        }
    }
}

extension EventData.Field {
    /// Whether this is `null`.
    public var isNull: Bool { first == UInt8(ascii: "n") }

    /// The string. A surrogate escape without its partner reads as U+FFFD.
    public var string: String? {
        guard first == UInt8(ascii: "\"") else { return nil }
        return withBytes { JSONNavigator(bytes: $0).string(at: 0..<$0.count) }
    }

    /// The integer; `nil` also when it has a fraction or does not fit. `2.0` is an integer.
    public var int: Int? { int64.flatMap { Int(exactly: $0) } }

    /// The integer; `nil` also when it has a fraction or does not fit. `2.0` is an integer.
    public var int64: Int64? { number { DecimalText.int64($0) } }

    /// The integer; `nil` also when it is negative, has a fraction or does not fit. `2.0` is an integer.
    public var uint64: UInt64? { number { DecimalText.uint64($0) } }

    /// The number, rounded to the nearest `Double`; infinite when it is beyond its range.
    public var double: Double? { number { DecimalText.double($0) } }

    /// The boolean.
    public var bool: Bool? {
        switch first {
        case UInt8(ascii: "t"): true
        case UInt8(ascii: "f"): false
        default: nil
        }
    }

    /// The elements, if it is an array.
    public var array: [EventData.Field]? {
        guard first == UInt8(ascii: "[") else { return nil }
        return text.withBytes { bytes in
            var fields: [EventData.Field] = []
            JSONNavigator(bytes: bytes).forEachElement(ofArrayAt: start) { range in
                fields.append(EventData.Field(text: text, start: range.lowerBound, end: range.upperBound))
            }
            return fields
        }
    }

    /// The first elements and the number of all, if it is an array.
    package func elements(first limit: Int) -> (elements: [EventData.Field], count: Int)? {
        guard first == UInt8(ascii: "[") else { return nil }
        return text.withBytes { bytes in
            var (fields, count): ([EventData.Field], Int) = ([], 0)
            JSONNavigator(bytes: bytes).forEachElement(ofArrayAt: start) { range in
                count += 1
                guard count <= limit else { return }
                fields.append(EventData.Field(text: text, start: range.lowerBound, end: range.upperBound))
            }
            return (fields, count)
        }
    }

    /// The members in the order of the text, if it is an object; repeated names are repeated.
    public var members: [(key: String, value: EventData.Field)]? {
        guard isObject else { return nil }
        return text.withBytes { bytes in
            let navigator = JSONNavigator(bytes: bytes)
            var members: [(key: String, value: EventData.Field)] = []
            navigator.forEachMember(ofObjectAt: start) { name, hasEscapes, range in
                let field = EventData.Field(text: text, start: range.lowerBound, end: range.upperBound)
                members.append((JSONText.string(navigator.slice(name), hasEscapes: hasEscapes), field))
            }
            return members
        }
    }

    /// The member of this name, if it is an object that has one; the last one counts.
    public subscript(key: String) -> EventData.Field? {
        guard isObject else { return nil }
        return Self.member(named: key, of: text, start: start, end: end)
    }

    /// The element at this index from 0, if it is an array that has one.
    public subscript(index: Int) -> EventData.Field? {
        guard let array, array.indices.contains(index) else { return nil }
        return array[index]
    }

    /// Whether this is an object.
    public var isObject: Bool { first == UInt8(ascii: "{") }

    /// The value's JSON text, compact.
    public var json: String { withBytes { String(decoding: $0, as: UTF8.self) } }

    /// The value as a tree.
    public var value: JSONValue { withBytes { JSONNavigator(bytes: $0).value(at: 0..<$0.count) } }

    /// The value as event data, if it is an object or `null`.
    public var data: EventData? {
        if isNull { return .null }
        guard isObject else { return nil }
        return try? EventData(json: json)
    }
}

extension EventData.Field: Hashable, CustomStringConvertible {
    /// Whether both have the same value.
    public static func == (left: EventData.Field, right: EventData.Field) -> Bool { left.value == right.value }

    /// Hashes the value.
    public func hash(into hasher: inout Hasher) { hasher.combine(value) }

    /// ``json``.
    public var description: String { json }
}
