import MeshEvents
import Testing

@testable import MeshEventsNATS

@Suite("The window of a pipelined appender")
struct PublishWindowTests {
    private let message = PendingMessage(subject: "events.user.a", payload: [], messageID: "1")
    private let failure = MeshEventsError(.storageFull, "full")

    @Test("room is what the window has left")
    func room() {
        var window = PublishWindow(size: 2)
        #expect(window.add(message) == 0)
        #expect(window.hasRoom)
        #expect(window.add(message) == 1)
        #expect(!window.hasRoom && !window.isDone)
        #expect(window.stored(0..<1) == .wake)
        #expect(window.hasRoom)
        #expect(window.stored(1..<2) == .wake)
        #expect(window.isDone)
    }

    @Test("after a miss nothing new is sent until all is answered; then the missed go again, in order, before new ones")
    func recovery() {
        var window = PublishWindow(size: 10)
        for _ in 0..<5 { _ = window.add(message) }
        #expect(window.missed(1, final: nil) == nil)
        #expect(!window.hasRoom)
        #expect(window.stored(1..<2) == nil)
        #expect(window.missed(1, final: nil) == nil)
        #expect(window.missed(1, final: nil) == nil)
        #expect(window.stored(3..<4) == .recover([0, 2, 4]))
        window.restored(0)
        #expect(window.resend(2) != nil)
        #expect(!window.hasRoom)
        #expect(window.stored(2..<3) == .wake)
        #expect(window.resend(4) != nil)
        #expect(window.recovered() == .wake)
        #expect(window.hasRoom && !window.isDone)
        #expect(window.stored(4..<5) == .wake)
        #expect(window.isDone)
        #expect(window.add(message) == 5)
    }

    @Test("a miss while sending again stops it, and begins it anew when all is answered, one at a time")
    func missedAgain() {
        var window = PublishWindow(size: 10)
        for _ in 0..<4 { _ = window.add(message) }
        for _ in 0..<3 { #expect(window.missed(1, final: nil) == nil) }
        #expect(window.missed(1, final: nil) == .recover([0, 1, 2, 3]))
        window.restored(0)
        #expect(window.resend(1) != nil)
        #expect(window.resend(2) != nil)
        #expect(window.missed(1, final: nil) == nil)
        #expect(window.resend(3) == nil)
        #expect(window.missed(1, final: nil) == nil)
        #expect(!window.hasRoom)
        #expect(window.recovered() == .recover([1, 2, 3]))
        #expect(!window.isDone)
    }

    @Test("what is sent again in parts: the rest goes when the part is answered, and before anything new")
    func parts() {
        var window = PublishWindow(size: 10)
        for _ in 0..<4 { _ = window.add(message) }
        #expect(window.missed(4, final: nil) == .recover([0, 1, 2, 3]))
        window.restored(0)
        #expect(window.resend(1) != nil)
        #expect(window.recovered(isWhole: false) == nil)
        #expect(!window.hasRoom)
        #expect(window.stored(1..<2) == .recover([2, 3]))
        window.restored(2)
        #expect(window.resend(3) != nil)
        #expect(window.stored(3..<4) == .wake)
        #expect(window.recovered() != nil && window.hasRoom && window.isDone)
    }

    @Test("a final failure is reported when all is answered, the first one counts")
    func final() {
        var window = PublishWindow(size: 10)
        for _ in 0..<3 { _ = window.add(message) }
        #expect(window.missed(1, final: failure) == nil)
        #expect(window.failure == nil)
        #expect(window.missed(1, final: nil) == nil)
        #expect(window.stored(2..<3) == .wake)
        #expect(window.failure?.code == .storageFull)
        window.fail(MeshEventsError(.timeout, ""))
        #expect(window.failure?.code == .storageFull)
        #expect(window.recovered() == .wake)
        #expect(!window.hasRoom)
    }

    @Test("a message that could not be handed over leaves no trace")
    func withdrawn() {
        var window = PublishWindow(size: 1)
        let index = window.add(message)
        window.withdraw(index)
        #expect(window.isDone && window.hasRoom)
        #expect(window.add(message) == index)
    }
}
