import NIOCore
import TestSupport
import Testing

@testable import NATSClient

/// An operation copied out of the parser's callback, so that tests can compare it.
private enum Parsed: Equatable {
    case info(String)
    case message(subject: String, sid: UInt64, reply: String, headers: String, payload: [UInt8])
    case ping, pong, ok
    case error(String)

    init(_ operation: ServerOperation) {
        func text(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }
        switch operation {
        case .info(let json): self = .info(text(json))
        case .message(let frame):
            self = .message(
                subject: text(frame.subject),
                sid: frame.sid,
                reply: text(frame.reply),
                headers: text(frame.headers),
                payload: Array(frame.payload)
            )
        case .ping: self = .ping
        case .pong: self = .pong
        case .ok: self = .ok
        case .error(let text): self = .error(text)
        }
    }
}

/// Feeds `pieces` one after the other, as reads of a socket would come.
private func parse(_ pieces: [[UInt8]]) throws -> [Parsed] {
    var parser = ProtocolParser()
    var buffer = ByteBuffer()
    var parsed: [Parsed] = []
    for piece in pieces {
        buffer.writeBytes(piece)
        try parser.read(&buffer) { parsed.append(Parsed($0)) }
    }
    return parsed
}

extension ProtocolParser {
    /// Reads every complete operation at the front of a buffer.
    fileprivate mutating func read(_ buffer: inout ByteBuffer, _ body: (ServerOperation) -> Void) throws(NATSError) {
        let result = buffer.withUnsafeReadableBytes { bytes in
            Result { () throws(NATSError) in
                var offset = 0
                while offset < bytes.count,
                    let (operation, length) = try next(in: UnsafeRawBufferPointer(rebasing: bytes[offset...]))
                {
                    body(operation)
                    offset += length
                }
                return offset
            }
        }
        buffer.moveReaderIndex(forwardBy: try result.get())
    }
}

@Suite("Protocol parser")
struct ProtocolParserTests {
    /// Everything a server sends, one after the other.
    private static let stream =
        "INFO {\"server_id\":\"A\"} \r\n+OK\r\nMSG a.b 1 5\r\nhello\r\nMSG a 22 _INBOX.x.1 0\r\n\r\nPING\r\n"
        + "HMSG h 3 12 17\r\nNATS/1.0\r\n\r\nworld\r\nHMSG h 3 _R.1 22 22\r\nNATS/1.0\r\nA: b\r\nC:\r\n\r\n\r\n"
        + "-ERR 'Unknown Protocol Operation'\r\npong\r\nmsg\tx  4   2\r\n\r\n\r\nPONG\r\n"
    private static let expected: [Parsed] = [
        .info(" {\"server_id\":\"A\"} "), .ok,
        .message(subject: "a.b", sid: 1, reply: "", headers: "", payload: Array("hello".utf8)),
        .message(subject: "a", sid: 22, reply: "_INBOX.x.1", headers: "", payload: []),
        .ping,
        .message(subject: "h", sid: 3, reply: "", headers: "NATS/1.0\r\n\r\n", payload: Array("world".utf8)),
        .message(subject: "h", sid: 3, reply: "_R.1", headers: "NATS/1.0\r\nA: b\r\nC:\r\n\r\n", payload: []),
        .error("Unknown Protocol Operation"), .pong,
        .message(subject: "x", sid: 4, reply: "", headers: "", payload: [0x0D, 0x0A]),
        .pong,
    ]

    @Test("reads every operation of a server")
    func whole() throws {
        #expect(try parse([Array(Self.stream.utf8)]) == Self.expected)
    }

    @Test("reads the same one byte at a time")
    func byteByByte() throws {
        #expect(try parse(Self.stream.utf8.map { [$0] }) == Self.expected)
    }

    @Test("reads the same when cut in two at every place")
    func everyCut() throws {
        let bytes = Array(Self.stream.utf8)
        for cut in 0...bytes.count {
            #expect(try parse([Array(bytes[..<cut]), Array(bytes[cut...])]) == Self.expected, "cut at \(cut)")
        }
    }

    @Test("reads the same in random cuts, with large payloads of any bytes")
    func randomCuts() throws {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<200 {
            var bytes: [UInt8] = []
            var expected: [Parsed] = []
            for sid in 1...UInt64.random(in: 1...6, using: &random) {
                let size = [0, 1, 17, 4000, 70_000].randomElement(using: &random) ?? 0
                let payload = (0..<size).map { _ in UInt8.random(in: 0...255, using: &random) }
                bytes += Array("MSG s.\(sid) \(sid) \(size)\r\n".utf8) + payload + [0x0D, 0x0A]
                expected.append(.message(subject: "s.\(sid)", sid: sid, reply: "", headers: "", payload: payload))
            }
            var pieces: [[UInt8]] = []
            var start = 0
            while start < bytes.count {
                let end = min(bytes.count, start + Int.random(in: 1...20_000, using: &random))
                pieces.append(Array(bytes[start..<end]))
                start = end
            }
            #expect(try parse(pieces) == expected)
        }
    }

    @Test(
        "refuses what is not the protocol with an error, in one piece and byte by byte",
        arguments: [
            "HELLO\r\n", "MSG\r\n", "MSG a\r\n", "MSG a 1\r\n", "MSG a x 1\r\n", "MSG a 1 -1\r\n", "MSG a 1 2 3 4\r\n",
            "MSG a 1 99999999999999999999\r\n", "MSG a 1 999999999999\r\n", "HMSG a 1 12\r\n", "HMSG a 1 9 5\r\n",
            "HMSG a 1 r 9 5\r\n", "MSG a 1 2\r\nhello\r\n", "\r\n", "\u{0}\u{1}\r\n", "MSGS a 1 0\r\n\r\n",
            "PINGPONG\r\n",
        ]
    )
    func hostile(line: String) {
        #expect(throws: NATSError.self) { try parse([Array(line.utf8)]) }
        #expect(throws: NATSError.self) { try parse(line.utf8.map { [$0] }) }
    }

    @Test("random bytes and mutated streams never trap, and always end in an error or a wait")
    func mutations() {
        var random = SeededGenerator(seed: 11)
        let original = Array(Self.stream.utf8)
        for _ in 0..<5000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            let whole = Result { try parse([bytes]) }
            let pieces = Result { try parse(bytes.map { [$0] }) }
            switch (whole, pieces) {
            case (.success(let one), .success(let two)): #expect(one == two)
            case (.failure, .failure): break
            default: Issue.record("the cut decides what \(bytes) means")
            }
        }
    }

    @Test("an endless line is refused instead of kept for ever")
    func endlessLine() {
        let line = [UInt8](repeating: UInt8(ascii: "A"), count: ProtocolParser.maximumLine + 1)
        #expect(throws: NATSError.self) { try parse([line]) }
    }

    @Test("a message that arrives in small pieces is not searched again for each of them")
    func partialMessageWaits() throws {
        var parser = ProtocolParser()
        var buffer = ByteBuffer(string: "MSG a 1 1000000\r\n")
        try parser.read(&buffer) { _ in }
        #expect(parser.minimumBytes == 17 + 1_000_000 + 2)
    }

    @Test("a message of which much is still to come is announced once, a small one never")
    func announcements() throws {
        var parser = ProtocolParser()
        var buffer = ByteBuffer(string: "MSG a 7 reply.b 100000\r\n")
        try parser.read(&buffer) { _ in }
        let announced = ProtocolParser.Announcement(sid: 7, reply: "reply.b")
        let first = parser.takeAnnouncement()
        #expect(first == announced)
        buffer.writeBytes([UInt8](repeating: 0x78, count: 10))
        try parser.read(&buffer) { _ in }
        let again = parser.takeAnnouncement()
        #expect(again == nil)
        buffer.writeBytes([UInt8](repeating: 0x78, count: 99_990))
        buffer.writeString("\r\nMSG a 7 reply.c 10\r\n")
        try parser.read(&buffer) { _ in }
        let small = parser.takeAnnouncement()
        #expect(small == nil)
    }

    @Test("one step reads one operation and says how long it was")
    func steps() throws {
        var parser = ProtocolParser()
        try "PING\r\nPONG\r\n".withUTF8Copy { bytes in
            let found = try #require(try parser.next(in: bytes))
            guard case .ping = found.operation else {
                Issue.record("it read \(found.operation)")
                return
            }
            #expect(found.length == 6)
        }
    }
}
