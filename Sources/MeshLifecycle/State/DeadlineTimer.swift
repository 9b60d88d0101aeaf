import MeshEvents

/// Calls once when a time has passed; a new time takes the place of the last one.
final class DeadlineTimer: Sendable {
    private struct State {
        var task: Task<Void, Never>?
        var isCancelled = false
    }

    private let clock: any Clock<Duration>
    private let state = Locked(State())

    init(clock: any Clock<Duration>) { self.clock = clock }

    deinit { cancel() }

    /// Calls `body` after `delay`, unless it is set again or cancelled before.
    func set(after delay: Duration, _ body: @escaping @Sendable () -> Void) {
        // The moment is fixed here, not when the task gets to run.
        let sleep = Self.sleep(on: clock, for: max(delay, .zero))
        let task = Task {
            do { try await sleep() } catch { return }
            if !Task.isCancelled { body() }
        }
        let obsolete = state.withLock { state -> Task<Void, Never>? in
            guard !state.isCancelled else { return task }
            defer { state.task = task }
            return state.task
        }
        obsolete?.cancel()
    }

    private static func sleep<C: Clock<Duration>>(
        on clock: C,
        for delay: Duration
    ) -> @Sendable () async throws -> Void {
        let deadline = clock.now.advanced(by: delay)
        return { try await clock.sleep(until: deadline, tolerance: nil) }
    }

    /// Never calls again.
    func cancel() {
        let task = state.withLock { state in
            state.isCancelled = true
            defer { state.task = nil }
            return state.task
        }
        task?.cancel()
    }
}
