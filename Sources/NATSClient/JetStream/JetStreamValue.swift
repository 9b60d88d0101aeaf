import MeshJSON

/// A JSON value of the JetStream API, for fields that this client knows and for others.
///
/// With it, ``StreamConfiguration`` keeps the fields that a newer server has and this client does not know.
public enum JetStreamValue: Sendable, Hashable {
    /// `null`.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// A whole number in the range of `Int64`; counts, limits and durations in nanoseconds are such.
    case integer(Int64)
    /// Any other number.
    case double(Double)
    /// Text.
    case string(String)
    /// A list.
    case array([JetStreamValue])
    /// Members by name.
    case object([String: JetStreamValue])

    /// Whether the API treats this value as if the field had not been sent: `null`, `false`, 0, "", [] and {}.
    var isZero: Bool {
        switch self {
        case .null: true
        case .bool(let value): !value
        case .integer(let value): value == 0
        case .double(let value): value == 0
        case .string(let value): value.isEmpty
        case .array(let values): values.isEmpty
        case .object(let members): members.values.allSatisfy(\.isZero)
        }
    }
}

extension JetStreamValue: Codable {
    /// Reads any JSON value.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .double(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let values = try? container.decode([JetStreamValue].self) {
            self = .array(values)
        } else {
            self = .object(try container.decode([String: JetStreamValue].self))
        }
    }

    /// Writes the JSON value.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .double(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let values): try container.encode(values)
        case .object(let members): try container.encode(members)
        }
    }
}

extension JetStreamValue: CustomStringConvertible {
    /// JSON text, members in the order of their names.
    public var description: String { JSONWriter.text { write(to: &$0) } }

    private func write(to writer: inout JSONWriter) {
        switch self {
        case .null: writer.write("null")
        case .bool(let value): writer.write(value ? "true" : "false")
        case .integer(let value): writer.integer(value)
        case .double(let value) where value.isFinite: writer.double(value)
        // There is no JSON for it.
        case .double(let value): value.description.withBytes { writer.write($0) }
        case .string(let value): writer.string(value)
        case .array(let values):
            writer.open(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { writer.write(UInt8(ascii: ",")) }
                value.write(to: &writer)
            }
            writer.close(UInt8(ascii: "]"))
        case .object(let members):
            writer.open(UInt8(ascii: "{"))
            for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { writer.write(UInt8(ascii: ",")) }
                _ = writer.name(member.key)
                member.value.write(to: &writer)
            }
            writer.close(UInt8(ascii: "}"))
        }
    }
}

extension JetStreamValue: ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral, ExpressibleByStringLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    /// `null`.
    public init(nilLiteral: ()) { self = .null }
    /// `true` or `false`.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// A whole number.
    public init(integerLiteral value: Int64) { self = .integer(value) }
    /// Text.
    public init(stringLiteral value: String) { self = .string(value) }
    /// A list.
    public init(arrayLiteral elements: JetStreamValue...) { self = .array(elements) }
    /// Members; of a repeated name the last counts.
    public init(dictionaryLiteral elements: (String, JetStreamValue)...) {
        self = .object(Dictionary(elements, uniquingKeysWith: { $1 }))
    }
}
