import NATSClient
import Synchronization
import Testing

@testable import MeshEventsNATS

@Suite("The stream that an acknowledgement comes from")
struct AcknowledgementOriginTests {
    private final class News: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }
    }

    private func acknowledgement(_ domain: String?, stream: String = "S") -> Result<
        PublishAcknowledgement, JetStreamError
    > {
        .success(PublishAcknowledgement(stream: stream, sequence: 1, domain: domain))
    }

    private func isOurs(_ verdict: AcknowledgementOrigin.Verdict) -> Bool {
        if case .ours = verdict { true } else { false }
    }

    private func isForeign(_ verdict: AcknowledgementOrigin.Verdict) -> Bool {
        if case .foreign = verdict { true } else { false }
    }

    @Test("a domain decides, and another one is told once")
    func domains() {
        let news = News()
        let origin = AcknowledgementOrigin(stream: "S") { news.add($0) }
        #expect(isOurs(origin.judge(acknowledgement("leaf"))), "before the stream is opened nothing is known")
        origin.opened(domain: "hub")
        #expect(isOurs(origin.judge(acknowledgement("hub"))))
        #expect(news.all.isEmpty && !origin.hasOthers)
        #expect(isForeign(origin.judge(acknowledgement("leaf"))))
        #expect(isForeign(origin.judge(acknowledgement(nil))))
        #expect(isForeign(origin.judge(acknowledgement("hub", stream: "T"))))
        #expect(news.all == ["one of the domain leaf"] && origin.hasOthers && origin.isShared)
        #expect(isOurs(origin.judge(.failure(JetStreamError(code: 503, errorCode: .storeFailed, message: "")))))
    }

    @Test("without domains: proven now and then, and always while second answers come")
    func proofs() {
        let news = News()
        let origin = AcknowledgementOrigin(stream: "S") { news.add($0) }
        origin.opened(domain: nil)
        #expect(!isOurs(origin.judge(acknowledgement(nil))) && !isForeign(origin.judge(acknowledgement(nil))))
        origin.proven()
        #expect((0..<8_192).allSatisfy { _ in isOurs(origin.judge(acknowledgement(nil))) })
        #expect(!isOurs(origin.judge(acknowledgement(nil))))
        origin.proven()
        origin.further(acknowledgement(nil))
        #expect(origin.isContested && news.all.count == 1)
        // The other stream's answers may all come later than the opened one's: that none came is no reason to trust.
        #expect(
            (0..<1_000).allSatisfy { _ in
                origin.proven()
                return !isOurs(origin.judge(acknowledgement(nil)))
            }
        )
        for _ in 0..<4 { origin.heardAlone() }
        origin.proven()
        #expect(isOurs(origin.judge(acknowledgement(nil))) && !origin.isContested && news.all.count == 1)
    }
}
