import MeshConcurrency
import Testing

@Suite("Tasks of a scope")
struct TasksTests {
    private struct Failed: Error {}

    @Test("What runs beside a scope is cancelled at its end, and has ended when the scope has")
    func background() async throws {
        let hasEnded = OneTimeSignal()
        let result = await withBackgroundTask {
            while !Task.isCancelled { await Task.yield() }
            hasEnded.send()
        } _: {
            7
        }
        #expect(result == 7)
        #expect(hasEnded.isSent)
    }

    @Test("So it is when the scope throws")
    func failure() async {
        let hasEnded = OneTimeSignal()
        await #expect(throws: Failed.self) {
            try await withBackgroundTask {
                try? await Task.sleep(for: .seconds(60))
                hasEnded.send()
            } _: { () async throws(Failed) in
                throw Failed()
            }
        }
        #expect(hasEnded.isSent)
    }

    @Test("A scope outlives what runs beside it")
    func earlyEnd() async throws {
        let signal = OneTimeSignal()
        try await withBackgroundTask {
            signal.send()
        } _: {
            try await signal.wait()
        }
    }

    @Test("What takes longer than it may is cancelled, and has ended")
    func limitedTime() async {
        #expect(await within(.seconds(60)) { 7 } == 7)
        let hasEnded = OneTimeSignal()
        let late = await within(.milliseconds(1)) {
            while !Task.isCancelled { await Task.yield() }
            hasEnded.send()
            return 7
        }
        #expect(late == nil && hasEnded.isSent)
        let cancelled = Task { await within(.seconds(600)) { try? await OneTimeSignal().wait() } }
        cancelled.cancel()
        _ = await cancelled.value
    }

    @Test("What must not be interrupted does not see that its caller is cancelled")
    func uncancelledWork() async throws {
        let begun = OneTimeSignal()
        let end = OneTimeSignal()
        let work = Task {
            await uncancelled {
                begun.send()
                return (try? await end.wait()) != nil && !Task.isCancelled
            }
        }
        try await begun.wait()
        work.cancel()
        end.send()
        #expect(await work.value)
    }
}
