import MeshEvents
import Testing

struct MessageHeadersTests {
    private func read(_ text: String) -> MessageHeaders {
        Array(text.utf8).withUnsafeBytes { MessageHeaders(block: $0.bytes) }
    }

    @Test func readsWhatItWrites() {
        var headers: MessageHeaders = ["traceparent": "00-a-b-01", "X-Empty": "", "X": "a: b"]
        headers.append("X", "second")
        #expect(read(String(decoding: headers.block, as: UTF8.self)) == headers)
        #expect(headers["X"] == "a: b")
        headers["X"] = nil
        #expect(headers.fields.map(\.name) == ["traceparent", "X-Empty"])
        #expect(MessageHeaders().block.isEmpty)
    }

    @Test func leavesOutWhatBelongsToNATS() {
        let block = "NATS/1.0\r\nNats-Msg-Id: abc-1\r\nA: 1\r\nNats-Expected-Stream: MESH_EVENTS\r\nNatsish: 2\r\n\r\n"
        #expect(read(block) == ["A": "1", "Natsish": "2"])
        #expect(read("NATS/1.0\r\nNats-Msg-Id: abc-1\r\n\r\n").isEmpty)
    }

    @Test(
        arguments: [
            "", "NATS/1.0", "NATS/1.0\r\n", "NATS/1.0\r\n\r\n", "NATS/1.0 503\r\n\r\n", "\n", "NATS/1.0\r\n:\r\n",
            "NATS/1.0\r\n: value\r\n\r\n", "NATS/1.0\r\nno colon\r\n\r\n", "NATS/1.0\r\nNats-", "NATS/1.0\r\nNats",
        ]
    )
    func skipsWhatIsNoField(_ block: String) {
        #expect(read(block).isEmpty)
    }

    @Test func readsWhatIsCutOffOrBent() {
        #expect(read("NATS/1.0\r\nA: 1\r\nB:2") == ["A": "1", "B": "2"])
        #expect(read("NATS/1.0\nA:\t 1 \t\n\n") == ["A": "1"])
    }

    @Test func everyPrefixAndEveryChangedByteIsReadWithoutTrapping() {
        let block: [UInt8] = Array("NATS/1.0\r\nNats-Msg-Id: a\r\nA: 1\r\nB: \u{e9}\r\n\r\n".utf8)
        for end in block.indices { _ = block[..<end].withUnsafeBytes { MessageHeaders(block: $0) } }
        for index in block.indices {
            for byte in [0, 0x0A, 0x0D, 0x3A, 0x80, 0xFF] as [UInt8] {
                var changed = block
                changed[index] = byte
                _ = changed.withUnsafeBytes { MessageHeaders(block: $0) }
            }
        }
    }

    @Test(arguments: ["", "a b", "a:b", "é", "a\n"])
    func refusesNamesThatWouldBreakTheBlock(_ name: String) {
        #expect(throws: MeshEventsError.self) { try ([name: "1"] as MessageHeaders).validate() }
    }

    @Test(arguments: ["a\r\nb", "a\nb", "\0"])
    func refusesValuesThatWouldBreakTheBlock(_ value: String) {
        #expect(throws: MeshEventsError.self) { try (["A": value] as MessageHeaders).validate() }
    }

    @Test func messagesAreMadeAndReadWithoutPointers() {
        let (subject, payload) = (Array("events.user.a".utf8), Array("{}".utf8))
        let block = Array("NATS/1.0\r\nA: 1\r\n\r\n".utf8)
        let incoming = IncomingMessage(
            subject: subject.span.bytes,
            payload: payload.span.bytes,
            headers: block.span.bytes
        )
        let headers = MessageHeaders(block: incoming.headers)
        let outgoing = OutgoingMessage(subject: incoming.subject, payload: incoming.payload, headers: headers)
        let read = [outgoing.subject.withUnsafeBytes { Array($0) }, outgoing.payload.withUnsafeBytes { Array($0) }]
        #expect(read == [subject, payload])
        #expect(headers == ["A": "1"])
        let bare = IncomingMessage(subject: subject.span.bytes, payload: payload.span.bytes)
        let count = bare.headers.byteCount
        #expect(count == 0)
    }

    @Test func whatCameWithAnEventIsNoPartOfIt() {
        #expect(Set([Event("user.a"), Event("user.a")]).count == 1)
        #expect(Event("user.a") != Event("user.b"))
        #expect(Event("user.a").signature == .unchecked)
    }
}
