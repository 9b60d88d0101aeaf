import Locking

/// A one-time signal that tasks can wait for, each with a deadline.
package final class Completion: Sendable {
    private enum Outcome { case completed, timedOut, cancelled }

    private struct State {
        var isComplete = false
        var lastID: UInt64 = 0
        var waiters: [UInt64: UnsafeContinuation<Outcome, Never>] = [:]
    }

    private let state = Locked(State())

    package init() {}

    /// Whether ``complete()`` has been called.
    package var isComplete: Bool { state.withLock { $0.isComplete } }

    /// Completes the signal and resumes every waiting task. Harmless when repeated.
    package func complete() {
        let waiters = state.withLock { state -> [UnsafeContinuation<Outcome, Never>] in
            state.isComplete = true
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume(returning: .completed) }
    }

    /// Suspends until ``complete()`` is called; returns at once when it has been.
    ///
    /// - Throws: `timeout` at the deadline, `closed` when the calling task is cancelled.
    package func wait(
        until deadline: ContinuousClock.Instant,
        for purpose: @autoclosure () -> String
    ) async throws(MeshEventsError) {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let timer = Task {
            try await Task.sleep(until: deadline, clock: .continuous)
            end(id, .timedOut)
        }
        let outcome = await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Outcome, Never>) in
                let immediate = state.withLock { state -> Outcome? in
                    if state.isComplete { return .completed }
                    if Task.isCancelled { return .cancelled }
                    // The timer may have fired before this task was registered as a waiter.
                    if ContinuousClock.now >= deadline { return .timedOut }
                    state.waiters[id] = continuation
                    return nil
                }
                if let immediate { continuation.resume(returning: immediate) }
            }
        } onCancel: {
            end(id, .cancelled)
        }
        timer.cancel()
        switch outcome {
        case .completed: return
        case .timedOut:
            throw MeshEventsError(.timeout, "gave up waiting for \(purpose())", isRetriable: true)
        case .cancelled:
            throw MeshEventsError(.closed, "cancelled while waiting for \(purpose())")
        }
    }

    private func end(_ id: UInt64, _ outcome: Outcome) {
        let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
        waiter?.resume(returning: outcome)
    }
}
