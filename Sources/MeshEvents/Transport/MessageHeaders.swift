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
            guard !field.name.isEmpty, field.name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x3A }) else {
                throw MeshEventsError(
                    .invalidArgument,
                    "\(SubjectRules.quoted(field.name)) cannot name a header: use printable ASCII without ':'"
                )
            }
            guard !field.value.utf8.contains(where: { $0 == 0x0D || $0 == 0x0A || $0 == 0 }) else {
                throw MeshEventsError(.invalidArgument, "the value of header \(field.name) has a line break in it")
            }
        }
    }
}

// MARK: The header block

extension MessageHeaders {
    /// Reads a header block: `NATS/1.0`, then one line for each field, then an empty line (NATS ADR-4). A line that is
    /// no field is skipped. Fields `Nats-…` are left out without copying them: most stored messages have no others.
    public init(block: UnsafeRawBufferPointer) {
        fields = []
        var start = Self.end(ofLineAt: 0, in: block)
        while start < block.count {
            let next = Self.end(ofLineAt: start, in: block)
            if !Self.isReserved(block, at: start) { read(block[start..<next]) }
            start = next
        }
    }

    /// The header block as it is sent; empty without a field.
    package var block: [UInt8] {
        guard !isEmpty else { return [] }
        return Array("NATS/1.0\r\n\(lines)\r\n".utf8)
    }

    /// The fields as lines.
    package var lines: String { fields.reduce(into: "") { $0 += "\($1.name): \($1.value)\r\n" } }

    private mutating func read(_ line: Slice<UnsafeRawBufferPointer>) {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex else { return }
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A }
        var value = line[(colon + 1)...].drop(while: isSpace)
        while let last = value.last, isSpace(last) { value.removeLast() }
        append(String(decoding: line[..<colon], as: UTF8.self), String(decoding: value, as: UTF8.self))
    }

    /// Where the line after this one begins.
    private static func end(ofLineAt start: Int, in block: UnsafeRawBufferPointer) -> Int {
        var index = start
        while index + 8 <= block.count {
            let word = UInt64(littleEndian: block.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            let found = WordSearch.lineFeed(word)
            if found != 0 { return index + found.trailingZeroBitCount / 8 + 1 }
            index += 8
        }
        while index < block.count {
            if block[index] == 0x0A { return index + 1 }
            index += 1
        }
        return index
    }

    private static func isReserved(_ block: UnsafeRawBufferPointer, at start: Int) -> Bool {
        guard block.count - start >= 5 else { return false }
        return block[start] == UInt8(ascii: "N") && block[start + 1] == UInt8(ascii: "a")
            && block[start + 2] == UInt8(ascii: "t") && block[start + 3] == UInt8(ascii: "s")
            && block[start + 4] == UInt8(ascii: "-")
    }
}
