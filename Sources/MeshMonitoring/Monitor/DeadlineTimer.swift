import MeshConcurrency
import MeshEvents

/// Calls a closure once after a delay; a new delay replaces the last one.
final class DeadlineTimer: Sendable {
    private struct State {
        var task: Task<Void, Never>?
        var isCancelled = false
    }

    private let clock: any Clock<Duration>
    private let state = Locked(State())

    init(clock: any Clock<Duration>) { self.clock = clock }

    deinit { cancel() }

    /// A moment from which delays are counted. Take it before reading the time of day: then a call can be too early,
    /// never too late.
    struct Mark: Sendable {
        /// Waits until this duration has passed since the moment.
        fileprivate let sleep: @Sendable (Duration) async throws -> Void
    }

    /// The present moment.
    func mark() -> Mark { Self.mark(on: clock) }

    private static func mark<C: Clock<Duration>>(on clock: C) -> Mark {
        let now = clock.now
        return Mark { try await clock.sleep(until: now.advanced(by: $0), tolerance: nil) }
    }

    /// Calls `body` when `delay` has passed since `mark`, unless the timer is set again or cancelled before.
    func set(_ delay: Duration, after mark: Mark, _ body: @escaping @Sendable () -> Void) {
        let task = Task {
            do { try await mark.sleep(delay) } catch { return }
            if !Task.isCancelled { body() }
        }
        let obsolete = state.withLock { state -> Task<Void, Never>? in
            guard !state.isCancelled else { return task }
            defer { state.task = task }
            return state.task
        }
        obsolete?.cancel()
    }

    /// Cancels the timer for good: it never calls again.
    func cancel() {
        let task = state.withLock { state in
            state.isCancelled = true
            defer { state.task = nil }
            return state.task
        }
        task?.cancel()
    }
}
