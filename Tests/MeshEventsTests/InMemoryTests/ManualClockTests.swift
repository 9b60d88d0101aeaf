import MeshEvents
import MeshEventsTesting
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ManualClockTests {
    @Test func timePassesOnlyWhenToldTo() {
        let clock = ManualClock(start: Timestamp(nanosecondsSinceEpoch: 1_000))
        #expect(clock.timestamp == Timestamp(nanosecondsSinceEpoch: 1_000))
        clock.advance(by: .nanoseconds(5))
        #expect(clock.timestamp == Timestamp(nanosecondsSinceEpoch: 1_005))
        #expect(clock.now.offset == .nanoseconds(5))
    }

    @Test func aSleeperWakesAtItsDeadlineAndNotBefore() async throws {
        let clock = ManualClock()
        let sleeper = Task { try await clock.sleep(for: .seconds(10)) }
        while clock.sleepers == 0 { await Task.yield() }
        clock.advance(by: .seconds(9))
        #expect(clock.sleepers == 1)
        clock.advance(by: .seconds(1))
        #expect(clock.sleepers == 0)
        try await sleeper.value
    }

    @Test func aCancelledSleeperThrows() async {
        let clock = ManualClock()
        let sleeper = Task { try await clock.sleep(for: .seconds(10)) }
        while clock.sleepers == 0 { await Task.yield() }
        sleeper.cancel()
        await #expect(throws: CancellationError.self) { try await sleeper.value }
        #expect(clock.sleepers == 0)
    }
}
