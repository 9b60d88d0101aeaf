import MessageGrammar

/// The header fields of a message, in order, such as `traceparent`.
///
/// Names compare byte by byte, as in NATS (ADR-4), and keep their letter case. Fields of NATS itself (`Nats-…`, the
/// message id among them) are not included.
public struct MessageHeaders: Sendable, Hashable, ExpressibleByDictionaryLiteral, CustomStringConvertible {
    /// One field.
    public struct Field: Sendable, Hashable {
        /// The name: an RFC 9110 token.
        public let name: String
        /// The value; no line breaks.
        public let value: String

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
    @inlinable public var isEmpty: Bool { fields.isEmpty }

    /// The first value of that name; setting replaces every value of that name, `nil` removes them.
    public subscript(name: String) -> String? {
        get { fields.first { $0.name == name }?.value }
        set {
            fields.removeAll { $0.name == name }
            if let newValue { append(name, newValue) }
        }
    }

    /// Adds a field at the end.
    public mutating func append(_ name: String, _ value: String) {
        fields.append(Field(name: name, value: value))
    }

    /// `name: value`, comma separated.
    public var description: String { fields.map { "\($0.name): \($0.value)" }.joined(separator: ", ") }

    /// Throws `invalidArgument` for a name that is not printable ASCII or holds a space or `:`, and for a value with a
    /// line break or NUL: either would break the header block.
    public func validate() throws(MeshEventsError) {
        for field in fields {
            switch HeaderProblem(name: field.name, value: field.value) {
            case .name:
                throw MeshEventsError(
                    .invalidArgument,
                    "\(SubjectRules.quoted(field.name)) cannot name a header: use printable ASCII without ':'"
                )
            case .value:
                throw MeshEventsError(.invalidArgument, "the value of header \(field.name) has a line break in it")
            case nil: break
            }
        }
    }
}

// MARK: The header block

extension MessageHeaders {
    /// Reads a header block: `NATS/1.0`, then one line for each field, then an empty line (NATS ADR-4). A line that is
    /// no field is skipped, as are fields beyond the 4 096th. Fields `Nats-…` are left out.
    public init(block: RawSpan) {
        self = block.withUnsafeBytes { MessageHeaders(block: $0) }
    }

    package init(block: UnsafeRawBufferPointer) {
        fields = []
        HeaderBlock(bytes: block).forEachField(leavesOutReserved: true) { append($0, $1) }
    }

    /// The header block as it is sent; empty without a field.
    package var block: [UInt8] {
        guard !isEmpty else { return [] }
        return HeaderWriter.block(room: room) { write(into: &$0) }
    }

    /// The fields as lines.
    package var lines: String {
        String(unsafeUninitializedCapacity: room) { buffer in
            var writer = HeaderWriter(buffer)
            write(into: &writer)
            return writer.count
        }
    }

    private var room: Int { fields.reduce(0) { $0 + HeaderWriter.room($1.name, $1.value) } }

    private func write(into writer: inout HeaderWriter) {
        for field in fields { writer.field(field.name, field.value) }
    }
}
