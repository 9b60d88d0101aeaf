import Locking
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

    /// A moment, from which times are counted: taken before the time of day is read, so that what is counted from that
    /// can be too early, never too late.
    struct Mark: Sendable {
        /// Waits until so much time has passed since the moment.
        fileprivate let sleep: @Sendable (Duration) async throws -> Void
    }

    /// Now.
    func mark() -> Mark { Self.mark(on: clock) }

    private static func mark<C: Clock<Duration>>(on clock: C) -> Mark {
        let now = clock.now
        return Mark { try await clock.sleep(until: now.advanced(by: $0), tolerance: nil) }
    }

    /// Calls `body` when `delay` has passed since a moment, unless it is set again or cancelled before.
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
