import Testing

@testable import NATSClient

@Suite("A reading that gets no messages")
struct PullSilenceTests {
    @Test("an open request is waited for")
    func open() {
        var silence = PullSilence()
        #expect((0..<1_000).allSatisfy { _ in silence.judge(requestsWaiting: 1, delivered: 9, arrived: 3) == .goesOn })
    }

    @Test("a server that has not taken the request yet proves no loss; the request is sent again after growing pauses")
    func flooded() {
        var silence = PullSilence()
        let verdicts = (1...200).map { _ in silence.judge(requestsWaiting: 0, delivered: 7, arrived: 7) }
        #expect(verdicts.indices.filter { verdicts[$0] == .askAgain } == [0, 3, 15, 63])
        #expect(verdicts.allSatisfy { $0 == .askAgain || $0 == .goesOn })
    }

    @Test("messages that the server has sent, and that do not arrive, are lost after some answers")
    func lost() {
        var silence = PullSilence()
        for _ in 0..<6 { #expect(silence.judge(requestsWaiting: 0, delivered: 9, arrived: 7) == .goesOn) }
        let lost = PullSilence.Verdict.lost("deliveries 8 to 9 of the consumer did not arrive")
        #expect(silence.judge(requestsWaiting: 0, delivered: 9, arrived: 7) == lost)
        var other = PullSilence()
        guard case .lost = other.judge(requestsWaiting: 0, delivered: 1, arrived: 7) else {
            Issue.record("a consumer that has forgotten deliveries is another one")
            return
        }
    }
}
