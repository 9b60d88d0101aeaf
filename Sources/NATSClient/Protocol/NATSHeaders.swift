import MessageGrammar

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
            switch HeaderProblem(name: field.name, value: field.value) {
            case .name:
                throw NATSError(
                    .invalidHeader,
                    "the header name \(field.name.debugDescription) must be printable ASCII without space or colon"
                )
            case .value:
                throw NATSError(.invalidHeader, "the value of header \(field.name) has a line break in it")
            case nil: break
            }
        }
    }

    /// The header block, as `HPUB` carries it; empty without a field.
    var block: [UInt8] {
        guard !isEmpty else { return [] }
        let room = fields.reduce(0) { $0 + HeaderWriter.room($1.name, $1.value) }
        return HeaderWriter.block(room: room) { writer in
            for field in fields { writer.field(field.name, field.value) }
        }
    }
}

extension HeaderBlock {
    /// The status code and its text in the first line, as in `NATS/1.0 503` or `NATS/1.0 408 Request Timeout`.
    var status: (code: Int, description: String)? {
        let line = firstLine
        guard line.count > 8 else { return nil }
        var fields = FieldReader(line, from: 8)
        guard let code = fields.next()?.decimal(), code <= 999 else { return nil }
        let text = String(decoding: line[8...], as: UTF8.self)
        return (Int(code), String(text.drop { $0 == " " }.drop { $0 != " " }.drop { $0 == " " }))
    }

    /// The fields, in order; those beyond ``maximumFields`` are left out.
    func fields() -> NATSHeaders {
        var headers = NATSHeaders()
        forEachField { headers.append($0, $1) }
        return headers
    }
}
