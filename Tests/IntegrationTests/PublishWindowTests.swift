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
        #expect(window.stored(0) == .wake)
        #expect(window.hasRoom)
        #expect(window.stored(1) == .wake)
        #expect(window.isDone)
    }

    @Test("after a miss nothing new is sent until all is answered, then the missed go again, oldest first")
    func recovery() {
        var window = PublishWindow(size: 10)
        for _ in 0..<4 { _ = window.add(message) }
        #expect(window.missed(2, final: nil) == nil)
        #expect(!window.hasRoom)
        #expect(window.stored(1) == nil)
        #expect(window.missed(0, final: nil) == nil)
        #expect(window.stored(3) == .recover([0, 2]))
        #expect(!window.hasRoom && !window.isDone)
        window.restored(0)
        window.restored(2)
        window.recovered()
        #expect(window.hasRoom && window.isDone)
        #expect(window.add(message) == 4)
    }

    @Test("a final failure is reported when all is answered, the first one counts")
    func final() {
        var window = PublishWindow(size: 10)
        for _ in 0..<3 { _ = window.add(message) }
        #expect(window.missed(1, final: failure) == nil)
        #expect(window.failure == nil)
        #expect(window.missed(0, final: nil) == nil)
        #expect(window.stored(2) == .wake)
        #expect(window.failure?.code == .storageFull)
        window.fail(MeshEventsError(.timeout, ""))
        #expect(window.failure?.code == .storageFull)
        window.recovered()
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
