/// The header fields of a message, in order (NATS ADR-4). Names are case-sensitive; a name may occur more than once.
public struct NATSHeaders: Sendable, Hashable, ExpressibleByDictionaryLiteral, CustomStringConvertible {
    /// One field.
    public struct Field: Sendable, Hashable {
        /// The field's name.
        public var name: String
        /// The field's value.
        public var value: String

        /// Creates a field.
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// All fields, in order.
    public private(set) var fields: [Field]

    /// Creates headers without a field.
    public init() { fields = [] }

    /// Creates headers from names and values.
    public init(dictionaryLiteral elements: (String, String)...) {
        fields = elements.map { Field(name: $0.0, value: $0.1) }
    }

    /// Whether there is no field.
    public var isEmpty: Bool { fields.isEmpty }

    /// The first value of that name; setting replaces every value of that name, `nil` removes them.
    public subscript(_ name: String) -> String? {
        get { fields.first { $0.name == name }?.value }
        set {
            fields.removeAll { $0.name == name }
            if let newValue { append(name, newValue) }
        }
    }

    /// Every value of that name, in order.
    public func values(of name: String) -> [String] {
        fields.lazy.filter { $0.name == name }.map(\.value)
    }

    /// Adds a field at the end.
    public mutating func append(_ name: String, _ value: String) {
        fields.append(Field(name: name, value: value))
    }

    /// `name: value`, comma separated.
    public var description: String {
        fields.map { "\($0.name): \($0.value)" }.joined(separator: ", ")
    }

    /// Throws `invalidHeader` for a name that is not printable ASCII or a value with a line break in it.
    func validate() throws(NATSError) {
        for field in fields {
            guard !field.name.isEmpty, field.name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x3A }) else {
                throw NATSError(
                    .invalidHeader,
                    "the header name \(field.name.debugDescription) must be printable ASCII without space or colon"
                )
            }
            guard !field.value.utf8.contains(where: { $0 == 0x0D || $0 == 0x0A || $0 == 0 }) else {
                throw NATSError(.invalidHeader, "the value of header \(field.name) has a line break in it")
            }
        }
    }
}

/// A header block as received: `NATS/1.0[ status[ description]]`, then one line per field, then an empty line.
///
/// Peers may write anything into it, so reading is lenient: a line that is not a field is skipped, bytes outside UTF-8
/// are replaced, and no content traps or ends a connection.
struct HeaderBlock {
    let bytes: UnsafeRawBufferPointer

    /// The status code and its text in the first line, as in `NATS/1.0 503` or `NATS/1.0 408 Request Timeout`.
    var status: (code: Int, description: String)? {
        let end = bytes.firstIndex { $0 == 0x0D || $0 == 0x0A } ?? bytes.count
        guard end > 8 else { return nil }
        let line = UnsafeRawBufferPointer(rebasing: bytes[..<end])
        var fields = FieldReader(line, from: 8)
        guard let code = fields.next()?.decimal(), code <= 999 else { return nil }
        let text = String(decoding: line[8...], as: UTF8.self)
        return (Int(code), String(text.drop { $0 == " " }.drop { $0 != " " }.drop { $0 == " " }))
    }

    /// The most fields that are read: a field takes more memory than it has bytes.
    static let maximumFields = 4_096

    /// The fields, in order; those beyond ``maximumFields`` are left out.
    func fields() -> NATSHeaders {
        var headers = NATSHeaders()
        var start = bytes.firstIndex(of: 0x0A).map { $0 + 1 } ?? bytes.count
        while start < bytes.count, headers.fields.count < Self.maximumFields {
            let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
            let line = bytes[start..<end]
            if let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > start {
                headers.append(
                    String(decoding: line[..<colon], as: UTF8.self),
                    String(decoding: Self.trim(line[(colon + 1)...]), as: UTF8.self)
                )
            }
            start = end + 1
        }
        return headers
    }

    private static func trim(_ value: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
        var value = value
        while let first = value.first, first == 0x20 || first == 0x09 { value.removeFirst() }
        while let last = value.last, last == 0x20 || last == 0x09 || last == 0x0D { value.removeLast() }
        return value
    }
}
