import MeshConcurrency
import Testing

@testable import MeshEvents

@Suite struct StreamTroubleTests {
    private let trouble = StreamTrouble()
    private let told = Locked<[String?]>([])
    private let begin = ContinuousClock.now
    private let error = MeshEventsError(.timeout, "no answer; wait", isRetriable: true)

    private func listen() { trouble.whenTold { [told] error in told.withLock { $0.append(error?.reason) } } }

    private func fail(at time: Duration, reader: Int = 0) {
        trouble.failed(error, since: begin + time, reader: reader, now: begin + time)
    }

    @Test func isToldOnceWhenItLastsAndOnceWhenItIsOver() {
        listen()
        fail(at: .zero)
        fail(at: .seconds(9))
        #expect(told.withLock { $0 } == [])
        for second in 10..<20 { fail(at: .seconds(second)) }
        #expect(told.withLock { $0 } == ["no answer"])
        trouble.answered()
        trouble.answered()
        #expect(told.withLock { $0 } == ["no answer", nil])
    }

    @Test func aRequestThatWaitedForLongIsEnough() {
        listen()
        trouble.failed(error, since: begin, now: begin + .seconds(30))
        #expect(told.withLock { $0 } == ["no answer"])
    }

    @Test func anAnswerAndALostConnectionBeginTheTimeAnew() {
        listen()
        fail(at: .zero)
        trouble.answered()
        fail(at: .seconds(8))
        trouble.pause()
        fail(at: .seconds(16))
        fail(at: .seconds(25))
        #expect(told.withLock { $0 } == [])
        fail(at: .seconds(26))
        trouble.pause()
        #expect(told.withLock { $0 } == ["no answer"])
    }

    @Test func ofSeveralReadersTheLastAnswerCounts() {
        listen()
        for reader in 0..<2 {
            fail(at: .zero, reader: reader)
            fail(at: .seconds(10), reader: reader)
        }
        trouble.answered(reader: 0)
        #expect(told.withLock { $0 } == ["no answer"])
        trouble.answered(reader: 1)
        #expect(told.withLock { $0 } == ["no answer", nil])
    }

    @Test func whoListensLateIsToldAtOnceAndAfterTheEndNothingIsTold() {
        fail(at: .zero)
        fail(at: .seconds(10))
        listen()
        #expect(told.withLock { $0 } == ["no answer"])
        trouble.end()
        trouble.answered()
        fail(at: .seconds(20))
        fail(at: .seconds(40))
        #expect(told.withLock { $0 } == ["no answer"])
    }
}
