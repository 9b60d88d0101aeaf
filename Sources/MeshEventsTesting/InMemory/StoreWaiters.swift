import MeshConcurrency
import MeshEvents

/// The followers that wait for a new message.
final class StoreWaiters: Sendable {
    private typealias Waiter = CheckedContinuation<Void, Never>

    private struct State {
        /// Grows with each change, so that a follower misses none between reading and waiting.
        var generation: UInt64 = 0
        var lastID: UInt64 = 0
        var waiters: [UInt64: Waiter] = [:]
    }

    private let state = Locked(State())

    /// The value to pass to ``wait(after:isolation:)``; take it before reading the stream.
    var generation: UInt64 { state.withLock { $0.generation } }

    /// Wakes all followers: a message was stored, or a follower was cancelled.
    func wakeAll() {
        let waiters = state.withLock { state -> [Waiter] in
            state.generation += 1
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Suspends until there is a change after `generation`, or the task is cancelled.
    func wait(after generation: UInt64, isolation: isolated (any Actor)?) async {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation(isolation: isolation) { (waiter: Waiter) in
                let goesOn = state.withLock { state in
                    if state.generation != generation || Task.isCancelled { return true }
                    state.waiters[id] = waiter
                    return false
                }
                if goesOn { waiter.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }
}
