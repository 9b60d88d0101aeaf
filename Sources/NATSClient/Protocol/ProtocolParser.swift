/// An incremental parser of the bytes that a server sends; the result does not depend on how they are split.
///
/// It reads in place and never copies an operation's bytes. Bytes of an incomplete operation stay in the buffer. The
/// parser remembers how far it has searched, so that it searches no byte twice.
struct ProtocolParser {
    /// The longest control line accepted. `INFO` lines of large clusters run to tens of kilobytes.
    static let maximumLine = 1 << 20
    /// The largest message accepted, headers included. A server's `max_payload` is 1 MiB by default, 64 MiB at most
    /// in its documentation; a server adds headers of its own to that.
    static let maximumMessage = 65 << 20

    /// A message whose control line has come, and of which many bytes are still missing.
    struct Announcement: Equatable {
        /// The subscription's number.
        let sid: UInt64
        /// The message's reply subject.
        let reply: String
    }

    /// A message is announced only when at least this many bytes of it are missing.
    private static let announcedBytes = 64 << 10

    /// With fewer readable bytes than this, no operation is complete.
    private(set) var minimumBytes = 1
    /// The incomplete message at the front; it is reported once.
    private var announcement: Announcement?
    /// How much of an incomplete control line has been searched for its end.
    private var searched = 0

    /// The operation at the front of `bytes` and its whole length; `nil` when it is incomplete.
    ///
    /// The parser makes no calls: the caller acts on an operation after this has returned, and may then replace the
    /// parser.
    mutating func next(
        in bytes: UnsafeRawBufferPointer
    ) throws(NATSError) -> (operation: ServerOperation, length: Int)? {
        guard let found = try complete(in: bytes) else { return nil }
        minimumBytes = 1
        searched = 0
        return found
    }

    /// The incomplete message at the front, when many bytes of it are missing; returned once, `nil` otherwise.
    mutating func takeAnnouncement() -> Announcement? { announcement.take() }

    private mutating func complete(
        in bytes: UnsafeRawBufferPointer
    ) throws(NATSError) -> (operation: ServerOperation, length: Int)? {
        guard bytes.count >= minimumBytes else { return nil }
        guard let lineEnd = endOfLine(in: bytes) else {
            guard bytes.count <= Self.maximumLine else { throw .unreadable("a control line without end", bytes) }
            searched = bytes.count
            minimumBytes = bytes.count + 1
            return nil
        }
        let line = UnsafeRawBufferPointer(rebasing: bytes[..<lineEnd.content])
        if line.startsWithVerb("MSG") {
            return try message(line, from: 3, afterLine: lineEnd.next, in: bytes, hasHeaders: false)
        }
        if line.startsWithVerb("HMSG") {
            return try message(line, from: 4, afterLine: lineEnd.next, in: bytes, hasHeaders: true)
        }
        if line.startsWithVerb("PING") { return (.ping, lineEnd.next) }
        if line.startsWithVerb("PONG") { return (.pong, lineEnd.next) }
        if line.startsWithVerb("+OK") { return (.ok, lineEnd.next) }
        if line.startsWithVerb("INFO") {
            return (.info(UnsafeRawBufferPointer(rebasing: line[4...])), lineEnd.next)
        }
        if line.startsWithVerb("-ERR") {
            return (.error(String(decoding: line[4...], as: UTF8.self).trimmingQuotes()), lineEnd.next)
        }
        throw .unreadable("an unknown operation", line)
    }

    /// Where the first line's content ends and the next line begins. A lone `\n` ends a line too, as in the server.
    private func endOfLine(in bytes: UnsafeRawBufferPointer) -> (content: Int, next: Int)? {
        guard let start = bytes.baseAddress else { return nil }
        var index = searched
        // Eight bytes at a time: the lowest byte of the word that is a line feed has its top bit set in `found`, and
        // none has when there is no line feed.
        while bytes.count &- index >= 8 {
            let word = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            let difference = word ^ (0x0101_0101_0101_0101 &* UInt64(UInt8(ascii: "\n")))
            let found = (difference &- 0x0101_0101_0101_0101) & ~difference & 0x8080_8080_8080_8080
            guard found == 0 else {
                index &+= found.trailingZeroBitCount &>> 3
                break
            }
            index &+= 8
        }
        while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
        guard index < bytes.count else { return nil }
        let hasReturn = index > 0 && bytes[index - 1] == UInt8(ascii: "\r")
        return (hasReturn ? index - 1 : index, index + 1)
    }

    /// `MSG subject sid [reply] size` or `HMSG subject sid [reply] headerSize size`, and the bytes after it.
    private mutating func message(
        _ line: UnsafeRawBufferPointer,
        from fieldStart: Int,
        afterLine start: Int,
        in bytes: UnsafeRawBufferPointer,
        hasHeaders: Bool
    ) throws(NATSError) -> (operation: ServerOperation, length: Int)? {
        var fields = FieldReader(line, from: fieldStart)
        guard let subject = fields.next(), let sid = fields.next()?.decimal(), let third = fields.next() else {
            throw .unreadable("a message line with missing fields", line)
        }
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        let reply: UnsafeRawBufferPointer
        let headerField: UnsafeRawBufferPointer?
        let sizeField: UnsafeRawBufferPointer
        switch (hasHeaders, fields.next(), fields.next()) {
        case (false, nil, nil): (reply, headerField, sizeField) = (none, nil, third)
        case (false, let size?, nil): (reply, headerField, sizeField) = (third, nil, size)
        case (true, let size?, nil): (reply, headerField, sizeField) = (none, third, size)
        case (true, let headers?, let size?): (reply, headerField, sizeField) = (third, headers, size)
        default: throw .unreadable("a message line with a wrong number of fields", line)
        }
        guard fields.next() == nil, let size = sizeField.decimal(), size <= UInt64(Self.maximumMessage) else {
            throw .unreadable("a message line with a wrong size", line)
        }
        var headerSize: UInt64 = 0
        if let headerField {
            guard let value = headerField.decimal(), value <= size else {
                throw .unreadable("a message line with a wrong header size", line)
            }
            headerSize = value
        }
        let total = start + Int(size) + 2
        guard bytes.count >= total else {
            // The control line is short: it is parsed again when the rest has come.
            minimumBytes = total
            if total - bytes.count >= Self.announcedBytes {
                announcement = Announcement(sid: sid, reply: String(decoding: reply, as: UTF8.self))
            }
            return nil
        }
        guard bytes[total - 2] == UInt8(ascii: "\r"), bytes[total - 1] == UInt8(ascii: "\n") else {
            throw .unreadable("a message longer than announced", line)
        }
        let bodyStart = start + Int(headerSize)
        let frame = MessageFrame(
            sid: sid,
            subject: subject,
            reply: reply,
            headers: UnsafeRawBufferPointer(rebasing: bytes[start..<bodyStart]),
            payload: UnsafeRawBufferPointer(rebasing: bytes[bodyStart..<(total - 2)])
        )
        return (.message(frame), total)
    }
}

/// Splits a control line at runs of spaces and tabs.
struct FieldReader {
    private let line: UnsafeRawBufferPointer
    private var index: Int

    init(_ line: UnsafeRawBufferPointer, from index: Int) {
        self.line = line
        self.index = index
    }

    mutating func next() -> UnsafeRawBufferPointer? {
        while index < line.count, line[index] == 0x20 || line[index] == 0x09 { index += 1 }
        guard index < line.count else { return nil }
        let start = index
        while index < line.count, line[index] != 0x20, line[index] != 0x09 { index += 1 }
        return UnsafeRawBufferPointer(rebasing: line[start..<index])
    }
}

extension UnsafeRawBufferPointer {
    /// The unsigned decimal number these bytes spell, up to 18 digits.
    func decimal() -> UInt64? {
        guard count > 0, count <= 18 else { return nil }
        var value: UInt64 = 0
        for byte in self {
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            value = value &* 10 &+ UInt64(digit)
        }
        return value
    }

    /// Whether the line is this verb, in any case, alone or before a space.
    fileprivate func startsWithVerb(_ verb: StaticString) -> Bool {
        let length = verb.utf8CodeUnitCount
        guard count >= length else { return false }
        for index in 0..<length {
            let byte = self[index]
            let upper = byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z") ? byte & 0xDF : byte
            guard upper == verb.utf8Start[index] else { return false }
        }
        return count == length || self[length] == 0x20 || self[length] == 0x09
    }
}

extension String {
    /// Without the white space and the single quotes around it, as `-ERR 'text'` comes.
    fileprivate func trimmingQuotes() -> String {
        var text = self[...]
        while let first = text.first, first.isWhitespace || first == "'" { text.removeFirst() }
        while let last = text.last, last.isWhitespace || last == "'" { text.removeLast() }
        return String(text)
    }
}

extension NATSError {
    fileprivate static func unreadable(_ what: String, _ bytes: UnsafeRawBufferPointer) -> NATSError {
        let sample = String(decoding: bytes.prefix(64), as: UTF8.self).debugDescription
        return NATSError(
            .protocolViolation,
            "the server sent \(what): \(sample); is this really a NATS server?",
            isRetriable: true
        )
    }
}

/// One operation sent by a server. It refers to the bytes of the receive buffer and is valid only while they are.
enum ServerOperation {
    /// The JSON object after `INFO`.
    case info(UnsafeRawBufferPointer)
    case message(MessageFrame)
    case ping
    case pong
    case ok
    /// The text after `-ERR`, quotes removed.
    case error(String)
}

/// A `MSG` or `HMSG`; it refers to the bytes of the receive buffer.
struct MessageFrame {
    let sid: UInt64
    let subject: UnsafeRawBufferPointer
    /// Empty when the message has no reply subject.
    let reply: UnsafeRawBufferPointer
    /// The header block with its `NATS/1.0` line; empty for `MSG`.
    let headers: UnsafeRawBufferPointer
    let payload: UnsafeRawBufferPointer
}
