import MeshConcurrency
import Testing

@testable import MeshEvents

struct RateLimitTests {
    @Test func oneGetsThroughPerIntervalAndTheOthersAreCounted() {
        var limit = RateLimit(interval: .seconds(1))
        let start = ContinuousClock.now
        #expect(limit.admit(now: start) == 0)
        #expect(limit.admit(now: start + .milliseconds(1)) == nil)
        #expect(limit.admit(now: start + .milliseconds(999)) == nil)
        #expect(limit.admit(now: start + .milliseconds(1000)) == 2)
        #expect(limit.admit(now: start + .milliseconds(2500)) == 0)
    }
}
