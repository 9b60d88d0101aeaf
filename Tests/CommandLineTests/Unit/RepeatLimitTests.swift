import Testing

@testable import mesh_events

@Suite struct RepeatLimitTests {
    @Test func whatComesTooOftenIsCountedAndToldWithTheNext() {
        var limit = RepeatLimit(3, each: .seconds(10))
        let start = ContinuousClock.now
        for _ in 0..<3 { #expect(limit.decide(at: start) == .say(leftOut: 0)) }
        for second in 0..<1_000 { #expect(limit.decide(at: start + .milliseconds(second)) == .leaveOut) }
        #expect(limit.decide(at: start + .seconds(10)) == .say(leftOut: 1_000))
        #expect(limit.decide(at: start + .seconds(11)) == .say(leftOut: 0))
    }
}
