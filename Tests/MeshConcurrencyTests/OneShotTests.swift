import MeshConcurrency
import Testing

@Suite("A value that comes once")
struct OneShotTests {
    @Test("Reaches all who wait and all who come later; only the first value counts")
    func everybody() async throws {
        let shot = OneShot<Int>()
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<8 { group.addTask { try await shot.wait() } }
            shot.fulfil(1)
            shot.fulfil(2)
            for try await value in group { #expect(value == 1) }
        }
        #expect(try await shot.wait() == 1)
        #expect(shot.value == 1)
    }

    @Test("Does not hold a cancelled task")
    func cancellation() async {
        let shot = OneShot<Int>()
        let task = Task { try await shot.wait() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        shot.fulfil(1)
    }

    @Test("Is nil when the time is up")
    func deadline() async throws {
        #expect(try await OneShot<Int>().wait(atMost: .milliseconds(1)) == nil)
    }
}
