import NIOCore

/// The bytes that have come and are not parsed yet, with the parser that reads them. A pure value.
struct IncomingBytes {
    private var parser = ProtocolParser()
    private var buffer = ByteBuffer()

    var isEmpty: Bool { buffer.readableBytes == 0 }

    /// Adds what one read has brought.
    mutating func append(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 {
            // The usual case: a read that ends with an operation is parsed in place.
            buffer = bytes
        } else {
            buffer.reserveCapacity(min(parser.minimumBytes, ProtocolParser.maximumMessage))
            var bytes = bytes
            buffer.writeBuffer(&bytes)
        }
    }

    /// Drops the bytes.
    mutating func clear() { buffer.clear() }

    /// Drops the bytes and what the parser knows of an operation that has not come completely.
    mutating func reset() {
        parser = ProtocolParser()
        buffer.clear()
    }

    /// Takes the bytes and the parser out. While they are used, more bytes may be added.
    mutating func take() -> (buffer: ByteBuffer, parser: ProtocolParser) {
        let taken = buffer
        buffer = ByteBuffer()
        return (taken, parser)
    }

    /// Puts back what was not parsed, in front of what has come meanwhile; returns whether something has.
    mutating func putBack(_ rest: consuming ByteBuffer, _ parser: ProtocolParser) -> Bool {
        self.parser = parser
        let hasMore = buffer.readableBytes > 0
        if hasMore { rest.writeBuffer(&buffer) }
        buffer = rest
        return hasMore
    }
}
