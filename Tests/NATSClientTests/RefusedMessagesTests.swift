import Testing

@testable import NATSClient

@Suite("Messages that the server has refused")
struct RefusedMessagesTests {
    private func error(_ subject: String) -> NATSError {
        NATSError(.permissionDenied, "forbidden: \(subject)", subject: subject)
    }

    private func take(_ refused: inout RefusedMessages, _ subject: String) -> NATSError? {
        var subject = subject
        return subject.withUTF8 { refused.take(for: UnsafeRawBufferPointer($0)) }
    }

    @Test("are told once, to the publisher of the same subject only")
    func bySubject() {
        var refused = RefusedMessages()
        #expect(refused.isEmpty)
        refused.add("a.b", error("a.b"))
        refused.add("a.b", error("a.b"))
        #expect(take(&refused, "a") == nil)
        #expect(take(&refused, "a.b.c") == nil)
        let told = take(&refused, "a.b")
        #expect(told?.code == .permissionDenied)
        #expect(told?.subject == "a.b")
        #expect(told?.message.contains("this one was not sent") == true)
        #expect(take(&refused, "a.b") == nil)
        #expect(refused.isEmpty)
        #expect(refused.takeAll() == nil)
    }

    @Test("are told together by a flush, counted, the first by name")
    func together() {
        var refused = RefusedMessages()
        refused.add("a", error("a"))
        #expect(refused.takeAll()?.message == "forbidden: a")
        for number in 0..<1_000 { refused.add("s.\(number)", error("s.\(number)")) }
        let all = refused.takeAll()
        #expect(all?.message == "1000 messages were refused; the first: forbidden: s.0")
        #expect(refused.isEmpty && refused.takeAll() == nil)
    }

    @Test("of more subjects than can be kept none is made up")
    func bounded() {
        var refused = RefusedMessages()
        for number in 0..<1_000 { refused.add("s.\(number)", error("s.\(number)")) }
        #expect(take(&refused, "s.999") == nil)
        #expect((0..<1_000).count { take(&refused, "s.\($0)") != nil } == 64)
        #expect(refused.isEmpty)
    }
}
