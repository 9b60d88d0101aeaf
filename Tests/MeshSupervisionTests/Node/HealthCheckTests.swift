import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import TestSupport
import Testing

@testable import MeshSupervision

@Suite("What is known of health checks")
struct HealthCheckStatesTests {
    private func expectChange(
        _ expected: Bool,
        _ isChange: Bool,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(isChange == expected, sourceLocation: sourceLocation)
    }

    @Test func failsAndRecovers() {
        var states = HealthCheckStates()
        let id = states.add("disk", timeout: .seconds(5))
        #expect(states.failing.isEmpty)
        states.begin("disk", id)
        expectChange(true, states.finish("disk", id, failure: "full"))
        #expect(states.failing == ["disk": "full"])
        states.begin("disk", id)
        // Another reason for the same failure is no change.
        expectChange(false, states.finish("disk", id, failure: "fuller"))
        #expect(states.failing == ["disk": "fuller"])
        states.begin("disk", id)
        expectChange(true, states.finish("disk", id, failure: nil))
        #expect(states.failing.isEmpty)
    }

    @Test func tooLateIsAFailureUntilAnAnswerInTime() {
        var states = HealthCheckStates()
        let id = states.add("database", timeout: .seconds(5))
        states.begin("database", id)
        expectChange(true, states.expire("database", id))
        #expect(states.failing == ["database": "no answer within 5.0 seconds"])
        expectChange(false, states.finish("database", id, failure: nil))
        #expect(!states.failing.isEmpty)
        states.begin("database", id)
        expectChange(true, states.finish("database", id, failure: nil))
        #expect(states.failing.isEmpty)
        // A timer that fires after the answer.
        expectChange(false, states.expire("database", id))
        #expect(states.failing.isEmpty)
    }

    @Test func answersOfAReplacedCheckDoNotCount() {
        var states = HealthCheckStates()
        let old = states.add("disk", timeout: .seconds(5))
        states.begin("disk", old)
        let new = states.add("disk", timeout: .seconds(5))
        expectChange(false, states.finish("disk", old, failure: "full"))
        #expect(states.failing.isEmpty)
        states.begin("disk", new)
        expectChange(true, states.finish("disk", new, failure: "full"))
        expectChange(true, states.remove("disk"))
        #expect(states.failing.isEmpty)
    }

    @Test func reasonsAreBoundedLines() {
        #expect(HealthCheck.reason("a\nb\r\nc") == "a b c")
        #expect(HealthCheck.reason("") == "failed")
        let long = HealthCheck.reason("exited with code 3: " + String(repeating: "é", count: 10_000) + " disk full")
        #expect(long.hasPrefix("exited with code 3: é") && long.hasSuffix("é disk full"), "\(long)")
        #expect(long.utf8.count <= 300)
    }

    @Test func secretsAreRemovedFromReasonsBeforeTheirLinesBecomeOne() {
        let redaction = Redaction(confidential: ["first part\nsecond part"])
        #expect(
            HealthCheck.reason("at first part\nsecond part\ntoken=hunter2", redaction)
                == "at [redacted] token=[redacted]"
        )
    }
}

@Suite("Running health checks", .timeLimit(.minutes(1)))
struct HealthCheckRunnerTests {
    private final class Counts: Sendable {
        let calls = Locked(0)
        let changes = Locked(0)
    }

    @Test("a check is asked once an interval, and a change is told")
    func asks() async throws {
        let clock = ManualClock()
        let counts = Counts()
        let runner = HealthCheckRunner(interval: .seconds(10), clock: clock) { counts.changes.withLock { $0 += 1 } }
        runner.register(
            HealthCheck(name: "second", timeout: .seconds(3600)) {
                let call = counts.calls.withLock { calls in
                    calls += 1
                    return calls
                }
                if call == 2 { throw HealthCheck.Failure("no answer from the database") }
            }
        )
        #expect(counts.calls.withLock { $0 } == 0)
        runner.start()
        for call in 1...4 {
            try await eventually("call \(call)") {
                if counts.calls.withLock({ $0 }) == call { return true }
                clock.advance(by: .seconds(1))
                return false
            }
            #expect(clock.now.offset >= .seconds(10 * (call - 1)))
            try await eventually("what it says") {
                runner.failing == (call == 2 ? ["second": "no answer from the database"] : [:])
            }
        }
        try await eventually("the changes") { counts.changes.withLock { $0 } == 2 }
        runner.stop()
        try await eventually("the end") { clock.sleepers == 0 }
    }

    @Test("a check that hangs fails, holds up no other, and is not asked again")
    func hangs() async throws {
        let clock = ManualClock()
        let counts = Counts()
        let others = Counts()
        let release = OneTimeSignal()
        let runner = HealthCheckRunner(interval: .seconds(10), clock: clock) {}
        runner.register(
            HealthCheck(name: "hanging", timeout: .seconds(3)) {
                counts.calls.withLock { $0 += 1 }
                // Heeds no cancellation.
                await Task.detached { try? await release.wait(until: .now + .seconds(60), for: "the test") }.value
            }
        )
        runner.register(HealthCheck(name: "other", timeout: .seconds(3600)) { others.calls.withLock { $0 += 1 } })
        runner.start()
        try await eventually("four calls of the other") {
            clock.advance(by: .seconds(1))
            return others.calls.withLock { $0 } >= 4
        }
        try await eventually("the failure") { !runner.failing.isEmpty }
        #expect(runner.failing == ["hanging": "no answer within 3.0 seconds"])
        #expect(counts.calls.withLock { $0 } == 1)
        release.send()
        try await eventually("the next run") {
            clock.advance(by: .seconds(1))
            return counts.calls.withLock { $0 } > 1 && runner.failing.isEmpty
        }
        runner.stop()
    }

    @Test("checks can be added and taken away while others run")
    func changes() async throws {
        let clock = ManualClock()
        let counts = Counts()
        let runner = HealthCheckRunner(interval: .seconds(10), clock: clock) { counts.changes.withLock { $0 += 1 } }
        runner.start()
        runner.register(HealthCheck(name: "a") { throw HealthCheck.Failure("one") })
        try await eventually("the failure") { runner.failing == ["a": "one"] }
        runner.register(HealthCheck(name: "a") { throw HealthCheck.Failure("two") })
        try await eventually("the other failure") { runner.failing == ["a": "two"] }
        runner.remove("a")
        #expect(runner.failing.isEmpty)
        runner.remove("a")
        try await eventually("the end") { clock.sleepers == 0 }
        runner.stop()
    }

    @Test("free space below what is asked for fails")
    func freeDisk() async throws {
        #expect(await HealthCheck.freeDisk(at: "/", minimumMB: 0).ask() == nil)
        let reason = await HealthCheck.freeDisk(at: "/no/such/place", minimumMB: .max).ask()
        #expect(reason?.contains("MB free, below the") == true)
    }
}
