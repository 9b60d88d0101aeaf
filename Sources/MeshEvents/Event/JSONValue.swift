import MeshJSON

/// A JSON value as a tree, for building data and for reading data of unknown structure.
///
/// Write it as literals: `["resources": ["cpu": 0.42, "gpu": true], "status": "online"]`.
public enum JSONValue: Sendable {
    /// `null`.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// A number, with its digits.
    case number(JSONNumber)
    /// A string.
    case string(String)
    /// An array.
    case array([JSONValue])
    /// An object.
    case object(JSONObject)

    /// Creates a number.
    @inlinable
    public init(_ value: Int) { self = .number(JSONNumber(value)) }

    /// Creates a number.
    public init(_ value: some BinaryInteger) {
        if let small = Int64(exactly: value) {
            self = .number(JSONNumber(small))
        } else {
            self = .number(JSONNumber(text: String(value)))
        }
    }

    /// Creates a number; NaN and infinities are kept; emitting them throws.
    @inlinable
    public init(_ value: Double) { self = .number(JSONNumber(value)) }

    /// Creates a boolean.
    @inlinable
    public init(_ value: Bool) { self = .bool(value) }

    /// Creates a string.
    @inlinable
    public init(_ value: String) { self = .string(value) }

    /// Creates an array.
    @inlinable
    public init(_ value: [JSONValue]) { self = .array(value) }

    /// Creates an object.
    public init(_ value: [String: JSONValue]) { self = .object(JSONObject(value)) }

    /// Creates an object, or `null`, from event data; invalid data becomes `null`.
    public init(_ data: EventData) { self = data.value }

    func write(to writer: inout JSONWriter) {
        switch self {
        case .null: writer.write("null")
        case .bool(true): writer.write("true")
        case .bool(false): writer.write("false")
        case .number(let number): number.write(to: &writer)
        case .string(let string): writer.string(string)
        case .object(let object): object.write(to: &writer)
        case .array(let values):
            writer.open(UInt8(ascii: "["))
            if writer.problem != .tooDeep {
                var isFirst = true
                for value in values {
                    if !isFirst { writer.write(UInt8(ascii: ",")) }
                    isFirst = false
                    value.write(to: &writer)
                }
            }
            writer.close(UInt8(ascii: "]"))
        }
    }
}

extension JSONNavigator {
    /// The value at `range` as a tree.
    func value(at range: Range<Int>) -> JSONValue {
        switch byte(at: range.lowerBound) {
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "t"): return .bool(true)
        case UInt8(ascii: "f"): return .bool(false)
        case UInt8(ascii: "\""): return .string(string(at: range))
        case UInt8(ascii: "["):
            var values: [JSONValue] = []
            forEachElement(ofArrayAt: range.lowerBound) { values.append(value(at: $0)) }
            return .array(values)
        case UInt8(ascii: "{"):
            var members: [(String, JSONValue)] = []
            forEachMember(ofObjectAt: range.lowerBound) { name, hasEscapes, range in
                members.append((JSONText.string(slice(name), hasEscapes: hasEscapes), value(at: range)))
            }
            return .object(JSONObject(members))
        default:
            return .number(JSONNumber(text: String(decoding: slice(range), as: UTF8.self)))
        }
    }
}

extension JSONValue {
    /// Whether this is `null`.
    public var isNull: Bool {
        if case .null = self { true } else { false }
    }
    /// The string, if it is one.
    public var string: String? {
        if case .string(let string) = self { string } else { nil }
    }
    /// The boolean, if it is one.
    public var bool: Bool? {
        if case .bool(let bool) = self { bool } else { nil }
    }
    /// The integer, if it is one that fits; `2.0` is one.
    public var int: Int? { number?.int64.flatMap { Int(exactly: $0) } }
    /// The number as a `Double`, if it is one.
    public var double: Double? { number?.double }
    /// The number, if it is one.
    public var number: JSONNumber? {
        if case .number(let number) = self { number } else { nil }
    }
    /// The elements, if it is an array.
    public var array: [JSONValue]? {
        if case .array(let array) = self { array } else { nil }
    }
    /// The members, if it is an object.
    public var object: JSONObject? {
        if case .object(let object) = self { object } else { nil }
    }
    /// The member of this name, if it is an object that has one.
    public subscript(key: String) -> JSONValue? { object?[key] }
    /// The element at this index from 0, if it is an array that has one.
    public subscript(index: Int) -> JSONValue? {
        guard case .array(let array) = self, array.indices.contains(index) else { return nil }
        return array[index]
    }
}

extension JSONValue: Hashable, CustomStringConvertible {
    /// Whether both have the same value: numbers compare by decimal value, strings by their bytes.
    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let one), .bool(let two)): one == two
        case (.number(let one), .number(let two)): one == two
        case (.string(let one), .string(let two)): one.hasSameBytes(as: two)
        case (.array(let one), .array(let two)): one == two
        case (.object(let one), .object(let two)): one == two
        default: false
        }
    }

    /// Hashes the value.
    public func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .bool(let value): hasher.combine(value)
        case .number(let value): hasher.combine(value)
        case .string(let value): hasher.combine(value)
        case .array(let value): hasher.combine(value)
        case .object(let value): hasher.combine(value)
        }
    }

    /// The value as compact JSON text; a NaN or an infinity in it shows as `null`.
    public var description: String { JSONWriter.text { write(to: &$0) } }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral,
    ExpressibleByStringInterpolation
{
    /// Creates `null`.
    @inlinable
    public init(nilLiteral: ()) { self = .null }
    /// Creates a boolean.
    @inlinable
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// Creates a number.
    @inlinable
    public init(integerLiteral value: Int64) { self = .number(JSONNumber(value)) }
    /// Creates a number.
    @inlinable
    public init(floatLiteral value: Double) { self = .number(JSONNumber(value)) }
    /// Creates a string.
    @inlinable
    public init(stringLiteral value: String) { self = .string(value) }
    /// Creates an array.
    @inlinable
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// Creates an object; of members with the same name, the last wins.
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(literal: elements)) }
}
