import MeshEvents

/// A line to import: the message that goes into the stream, byte for byte the same whenever the line is read.
struct ImportLine: Sendable {
    /// The number in the file, from 1.
    let number: Int
    let message: PendingMessage

    /// Reads a line of an export: an event with its timestamp.
    ///
    /// The message id depends on nothing but the line: on its bytes, and on its number unless a sequence in it tells it
    /// from others.
    /// - Throws: `MeshEventsError`; its message says what is wrong with the line.
    init(_ line: LineReader.Line) throws(MeshEventsError) {
        number = line.number
        var event = try EventLine.parse(line.bytes)
        let members = try EventData(json: line.bytes)
        guard let text = members["timestamp"]?.string else {
            throw MeshEventsError(
                .invalidData,
                "it has no \"timestamp\"; `mesh-events emit --from` takes such lines and gives events the present time"
            )
        }
        event.timestamp = try Timestamp(rfc3339: text)
        var hash = LineHash()
        hash.add(line.bytes)
        if members["sequence"] == nil { hash.add("\(line.number)".utf8) }
        message = PendingMessage(
            subject: event.type.subject,
            payload: try EventEncoder().encode(event),
            messageID: "import-\(hash.text)"
        )
    }
}

/// A hash of lines, 128 bits: FNV-1a (Fowler, Noll, Vo), for telling apart what nobody forges.
struct LineHash: Sendable, Hashable {
    private var value: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d

    mutating func add(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { value = (value ^ UInt128(byte)) &* 0x0000_0000_0100_0000_0000_0000_0000_013b }
        // Where one piece ends matters.
        value = (value ^ 0x100) &* 0x0000_0000_0100_0000_0000_0000_0000_013b
    }

    /// The hash in base 36.
    var text: String { String(value, radix: 36) }
}
