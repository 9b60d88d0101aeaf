import Foundation

/// Runs what blocks on a thread of its own, as a C program would.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result(catching: body)) }
    }
}

/// The calling thread's processor time, in nanoseconds.
func threadTime() -> Double { nanoseconds(CLOCK_THREAD_CPUTIME_ID) }

/// The processor time of all threads, in nanoseconds.
func processTime() -> Double { nanoseconds(CLOCK_PROCESS_CPUTIME_ID) }

/// A clock that only goes forward, in nanoseconds.
func now() -> Double { nanoseconds(CLOCK_MONOTONIC) }

private func nanoseconds(_ clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}

/// How often a second, `count` times since `start`.
func rate(_ count: Int, since start: Double) -> Double { Double(count) * 1e9 / (now() - start) }
