/// Writes a header block (NATS ADR-4) into memory that is known to be large enough. The fields are valid, as
/// ``HeaderProblem`` says.
package struct HeaderWriter {
    /// How many bytes a block takes besides its fields.
    package static let frame = 12

    private let buffer: UnsafeMutableBufferPointer<UInt8>
    /// How many bytes are written.
    package private(set) var count = 0

    package init(_ buffer: UnsafeMutableBufferPointer<UInt8>) { self.buffer = buffer }

    /// How many bytes a field takes.
    package static func room(_ name: String, _ value: String) -> Int { name.utf8.count + value.utf8.count + 4 }

    /// The first line.
    package mutating func begin() { write("NATS/1.0\r\n") }

    /// The line of a field.
    package mutating func field(_ name: String, _ value: String) {
        write(name)
        write(": ")
        write(value)
        write("\r\n")
    }

    /// Lines of fields that were written before.
    package mutating func lines(_ lines: String) { write(lines) }

    /// The empty line at the end.
    package mutating func end() { write("\r\n") }

    private mutating func write(_ text: String) {
        count += UnsafeMutableBufferPointer(rebasing: buffer[count...]).initialize(fromContentsOf: text.utf8)
    }

    /// A whole block.
    ///
    /// - Parameters:
    ///   - room: how many bytes the fields take, at least.
    ///   - fields: writes them.
    package static func block(room: Int, _ fields: (inout HeaderWriter) -> Void) -> [UInt8] {
        Array(unsafeUninitializedCapacity: frame + room) { buffer, count in
            var writer = HeaderWriter(buffer)
            writer.begin()
            fields(&writer)
            writer.end()
            count = writer.count
        }
    }
}

/// Why a field cannot be in a header block: it would break the block.
package enum HeaderProblem {
    /// The name is empty, or is not printable ASCII without space and colon.
    case name
    /// The value has a line break or NUL in it.
    case value

    /// The problem of a field; `nil` when there is none.
    package init?(name: String, value: String) {
        if name.isEmpty || !name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x3A }) {
            self = .name
        } else if value.utf8.contains(where: { $0 == 0x0D || $0 == 0x0A || $0 == 0 }) {
            self = .value
        } else {
            return nil
        }
    }
}
