import NATSClient
import Testing

@Suite("The subject that acknowledges a message")
struct AcknowledgementSubjectTests {
    @Test("nine tokens: what servers without a domain send")
    func nineTokens() throws {
        let subject = "$JS.ACK.MESH_EVENTS.6lJ86kW9.1.31.7.1795518030451847636.6"
        let parsed = try #require(AcknowledgementSubject(subject))
        #expect(parsed.deliveries == 1)
        #expect(parsed.streamSequence == 31)
        #expect(parsed.consumerSequence == 7)
        #expect(parsed.timestamp == 1_795_518_030_451_847_636)
        #expect(parsed.pending == 6)
        #expect(parsed.names(in: subject) == ("MESH_EVENTS", "6lJ86kW9"))
    }

    @Test(
        "eleven tokens and more: domain and account in front, further tokens at the end",
        arguments: ["", ".rnd", ".rnd.more.to.come"]
    )
    func elevenTokens(tail: String) throws {
        let subject = "$JS.ACK.hub.ACCHASH.MESH_EVENTS.c-1.2.18446744073709551615.3.4.5" + tail
        let parsed = try #require(AcknowledgementSubject(subject))
        #expect(parsed.deliveries == 2)
        #expect(parsed.streamSequence == .max)
        #expect(parsed.consumerSequence == 3)
        #expect(parsed.timestamp == 4)
        #expect(parsed.pending == 5)
        #expect(parsed.names(in: subject) == ("MESH_EVENTS", "c-1"))
    }

    @Test(
        "anything else is none, and nothing traps",
        arguments: [
            "", "$", "$JS.ACK", "$JS.ACK.", "$JS.ACK.........", "$JS.ACK.S.C.1.2.3.4", "$JS.ACK.S.C.1.2.3.4.5.6",
            "$JS.ACK.S.C.1.2.3.4.x", "$JS.ACK.S.C.1.2.3.4.", "$JS.ACK.S.C.-1.2.3.4.5", "$JS.ACK..C.1.2.3.4.5",
            "$JS.ACK.S.C.1.18446744073709551616.3.4.5", "$JS.ACK.S.C.1.2.3.18446744073709551615.5",
            "_INBOX.a.b", "$JS.API.S.C.1.2.3.4.5", "$js.ack.S.C.1.2.3.4.5",
        ]
    )
    func invalid(subject: String) {
        #expect(AcknowledgementSubject(subject) == nil)
    }
}
