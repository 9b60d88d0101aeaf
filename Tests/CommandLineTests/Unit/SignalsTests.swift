import Foundation
import MeshConcurrency
import TestSupport
import Testing

@testable import mesh_events

@Suite(.serialized) struct SignalsTests {
    @Test func ofManyHangupsOneWaits() async throws {
        let calls = Locked(0)
        let gate = DispatchSemaphore(value: 0)
        let stop = StopRequest()
        Signals.install(stop) {
            calls.withLock { $0 += 1 }
            gate.wait()
        }
        defer {
            // One that is still pending is gone once it is ignored; by default it would end the tests.
            for action in [SIG_IGN, SIG_DFL] { for number in [SIGHUP, SIGINT, SIGTERM] { signal(number, action) } }
        }
        kill(getpid(), SIGHUP)
        try await eventually("the first call") { calls.withLock { $0 } == 1 }
        for _ in 0..<3_000 { kill(getpid(), SIGHUP) }
        // Enough for many more calls.
        for _ in 0..<200 { gate.signal() }
        try await eventually("the second call") { calls.withLock { $0 } >= 2 }
        kill(getpid(), SIGHUP)
        try await eventually("the next call") { calls.withLock { $0 } >= 3 }
        // A signal may have been delivered only when the second call had begun.
        #expect(calls.withLock { $0 } <= 4)
        #expect(stop.reason == nil)
    }
}
