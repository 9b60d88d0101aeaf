import MessageGrammar
import NIOCore
import NIOEmbedded
import NIOWebSocket
import Testing

@testable import NATSClient

/// Everything a server can make grow ends at a bound.
@Suite("What a server can fill is bounded")
struct BoundsTests {
    @Test("pongs that are owed: one write at a time, no more than the bound")
    func owedPongs() {
        var pongs = OwedPongs()
        #expect(pongs.take() == 0)
        pongs.pinged()
        #expect(pongs.take() == 1)
        // The server does not read: the write never ends.
        for _ in 0..<1_000_000 {
            pongs.pinged()
            #expect(pongs.take() == 0)
        }
        #expect(pongs.count == OwedPongs.maximum)
        pongs.written()
        #expect(pongs.take() == OwedPongs.maximum)
        pongs.written()
        #expect(pongs.take() == 0)
    }

    @Test("announced servers: as many as the bound, given ones always, names of a sensible length")
    func announced() throws {
        let given = ServerAddress(host: "given")
        var pool = ServerPool([given])
        let many = (0..<1_000_000).map { "host\($0):4222" }
        pool.update(announced: many, by: given)
        #expect(pool.count == 1 + ServerPool.maximumAnnounced)
        #expect(pool.all.first == given)
        pool.update(announced: [String(repeating: "h", count: 100_000) + ":4222", "short:4222"], by: given)
        #expect(pool.all.map(\.host) == ["given", "short"])
    }

    @Test("reports: what is kept of them is short")
    func reports() {
        let long = String(repeating: "a", count: 1 << 20)
        for text in [long, "Permissions Violation for Publish to \"\(long)\"", "Authorization Violation \(long)"] {
            let report = ServerReport(text)
            #expect(report.error.message.utf8.count < 1_024)
            #expect((report.error.subject?.utf8.count ?? 0) <= ServerReport.maximumBytes)
        }
        let subject = String(repeating: "b", count: 4_096)
        let report = ServerReport("Permissions Violation for Publish to \"\(subject)\"")
        #expect(report.kind == .publishDenied(subject))
    }

    @Test("refused messages: their subjects take no more than the bound, and none goes uncounted")
    func refused() {
        var refused = RefusedMessages()
        let long = String(repeating: "s", count: 8_000)
        for number in 0..<1_000 {
            let subject = "\(long)\(number)"
            refused.add(subject, NATSError(.permissionDenied, "forbidden", subject: subject))
        }
        #expect(refused.bytes <= RefusedMessages.maximumBytes && refused.bytes > 0)
        #expect(refused.takeAll()?.message.hasPrefix("1000 messages were refused") == true)
        #expect(refused.bytes == 0)
        let huge = String(repeating: "s", count: RefusedMessages.maximumBytes)
        refused.add(huge, NATSError(.permissionDenied, "forbidden", subject: huge))
        #expect(refused.bytes == 0)
        #expect(refused.takeAll()?.code == .permissionDenied)
        #expect(refused.isEmpty)
    }

    @Test("header blocks: no more fields than the bound are read")
    func headerFields() {
        let block = "NATS/1.0\r\n" + String(repeating: "a:\n", count: 100_000) + "\r\n"
        block.withUTF8Copy { #expect(HeaderBlock(bytes: $0).fields().fields.count == HeaderBlock.maximumFields) }
    }

    @Test("messages: one that is larger than any server's is refused before its bytes come")
    func messageSize() throws {
        var parser = ProtocolParser()
        let limit = ProtocolParser.maximumMessage
        try "MSG a 1 \(limit)\r\n".withUTF8Copy { bytes in
            let found = try parser.next(in: bytes)
            #expect(found == nil)
        }
        var other = ProtocolParser()
        #expect(throws: NATSError.self) { try "MSG a 1 \(limit + 1)\r\n".withUTF8Copy { _ = try other.next(in: $0) } }
    }

    @Test("a subscription's buffer: headers and the messages themselves count")
    func bufferedMessages() {
        let message = NATSMessage(subject: "a", headers: ["name": "value"])
        #expect(message.memory >= 256 + 1 + 64 + 9)
        let buffer = MessageBuffer(maximumMessages: .max, maximumBytes: 100_000) {}
        let block = Array(("NATS/1.0\r\n" + String(repeating: "ab: cd\r\n", count: 100) + "\r\n").utf8)
        let empty = UnsafeRawBufferPointer(start: nil, count: 0)
        block.withUnsafeBytes { block in
            for _ in 0..<1_000 {
                buffer.receive(
                    NATSMessageView(MessageFrame(sid: 1, subject: empty, reply: empty, headers: block, payload: empty))
                )
            }
        }
        buffer.receiveBatchEnd()
        #expect(buffer.dropped > 980)
    }

    @Test("pings of a WebSocket: one answer is being written, one waits, whatever comes")
    func webSocketPings() throws {
        let channel = EmbeddedChannel()
        let gate = WriteGate()
        try channel.pipeline.syncOperations.addHandlers([gate, WebSocketHandler()])
        for number in 0..<100_000 {
            let ping = WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer(integer: number))
            channel.pipeline.fireChannelRead(ping)
        }
        #expect(gate.waiting.count == 1)
        gate.open()
        #expect(gate.answered.count == 2)
        #expect(gate.answered.last?.data.getInteger(at: 0, as: Int.self) == 99_999)
        _ = try? channel.finish(acceptAlreadyClosed: true)
    }
}

/// Keeps what is written until it is opened, as a peer that does not read does.
private final class WriteGate: ChannelOutboundHandler {
    typealias OutboundIn = WebSocketFrame

    private(set) var waiting: [(frame: WebSocketFrame, promise: EventLoopPromise<Void>?)] = []
    private(set) var answered: [WebSocketFrame] = []

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        waiting.append((unwrapOutboundIn(data), promise))
    }

    func open() {
        while !waiting.isEmpty {
            let (frame, promise) = waiting.removeFirst()
            answered.append(frame)
            promise?.succeed()
        }
    }
}
