import Locking
import MeshEvents

/// Limits how many reads of the stream run at once; others wait in order. Each holds messages, which can be large.
final class QueryGate: Sendable {
    private struct State {
        var running = 0
        var waiters: [(id: UInt64, continuation: CheckedContinuation<Bool, Never>)] = []
        var lastID: UInt64 = 0
    }

    private let maximumRunning: Int
    private let maximumWaiting: Int
    private let state = Locked(State())

    init(maximumRunning: Int = 2, maximumWaiting: Int = 128) {
        self.maximumRunning = maximumRunning
        self.maximumWaiting = maximumWaiting
    }

    /// How many reads wait.
    var waiting: Int { state.withLock { $0.waiters.count } }

    /// Runs `body` when it is its turn.
    ///
    /// - Throws: `persistenceUnavailable` when too many wait already, `closed` when the task is cancelled meanwhile,
    ///   and what `body` throws.
    func run<Result>(_ body: () async throws(MeshEventsError) -> Result) async throws(MeshEventsError) -> Result {
        try await enter()
        defer { leave() }
        return try await body()
    }

    private func enter() async throws(MeshEventsError) {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let isIn = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let immediate = state.withLock { state -> Bool? in
                    if state.running < maximumRunning {
                        state.running += 1
                        return true
                    }
                    if Task.isCancelled || state.waiters.count >= maximumWaiting { return false }
                    state.waiters.append((id, continuation))
                    return nil
                }
                if let immediate { continuation.resume(returning: immediate) }
            }
        } onCancel: {
            state.withLock { state -> CheckedContinuation<Bool, Never>? in
                guard let index = state.waiters.firstIndex(where: { $0.id == id }) else { return nil }
                return state.waiters.remove(at: index).continuation
            }?.resume(returning: false)
        }
        guard isIn else {
            if Task.isCancelled { throw MeshEventsError(.closed, "the read was cancelled") }
            throw MeshEventsError(
                .persistenceUnavailable,
                "too many reads of the stream are under way; try again in a moment",
                isRetriable: true
            )
        }
    }

    private func leave() {
        state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard !state.waiters.isEmpty else {
                state.running -= 1
                return nil
            }
            // The place passes to the next waiter.
            return state.waiters.removeFirst().continuation
        }?.resume(returning: true)
    }
}
