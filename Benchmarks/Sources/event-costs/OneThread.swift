import EventWork

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Runs every task of the process on the thread that waits for it: what happens, and so what it costs, is the same each
/// time, and a tool that counts has one thread to look at.
///
/// Unchecked because everything happens on that thread.
final class OneThread: TaskExecutor, @unchecked Sendable {
    static let shared = OneThread()

    private var jobs: [UnownedJob] = []

    func enqueue(_ job: consuming ExecutorJob) { add(UnownedJob(job)) }

    /// Runs `body` to its end, with all tasks that it starts.
    func run(_ body: @escaping @Sendable () async throws -> Void) throws {
        try takeOver()
        let outcome = Outcome()
        Task.detached {
            do {
                try await body()
                outcome.result = .success(())
            } catch {
                outcome.result = .failure(error)
            }
        }
        var next = 0
        while outcome.result == nil {
            guard next < jobs.count else { throw BenchmarkError("every task waits for another thread") }
            let job = jobs[next]
            next += 1
            if next == jobs.count {
                jobs.removeAll(keepingCapacity: true)
                next = 0
            }
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
        try outcome.result?.get()
    }

    private func add(_ job: UnownedJob) { jobs.append(job) }

    private typealias Enqueue = @convention(thin) (UnownedJob) -> Void
    private typealias EnqueueHook = @convention(thin) (UnownedJob, Enqueue) -> Void

    /// Has the runtime give its tasks to this queue instead of its pool of threads; there is a hook for that.
    private func takeOver() throws {
        guard let hook = dlsym(dlopen(nil, RTLD_NOW), "swift_task_enqueueGlobal_hook") else {
            throw BenchmarkError("this Swift runtime has no hook for its tasks")
        }
        hook.assumingMemoryBound(to: EnqueueHook?.self).pointee = { job, _ in OneThread.shared.add(job) }
    }
}

/// What became of the body.
///
/// Unchecked because everything happens on one thread.
private final class Outcome: @unchecked Sendable {
    var result: Result<Void, any Error>?
}
