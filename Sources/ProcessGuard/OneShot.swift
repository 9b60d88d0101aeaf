import Synchronization

/// A value that is set once and that any number of tasks can wait for; a waiting task can be cancelled.
package final class OneShot<Value: Sendable>: Sendable {
    private enum State {
        case waiting([Int: CheckedContinuation<Value, any Error>])
        case done(Value)
    }

    private let state = Mutex<(next: Int, State)>((0, .waiting([:])))

    package init() {}

    /// The value; `nil` until it is set.
    package var value: Value? {
        state.withLock { state in
            if case .done(let value) = state.1 { value } else { nil }
        }
    }

    /// Sets the value and passes it to all waiting tasks; only the first call counts.
    package func fulfil(_ value: Value) {
        let waiters = state.withLock { state -> [CheckedContinuation<Value, any Error>] in
            guard case .waiting(let waiters) = state.1 else { return [] }
            state.1 = .done(value)
            return Array(waiters.values)
        }
        for waiter in waiters { waiter.resume(returning: value) }
    }

    /// Waits for the value.
    ///
    /// - Throws: `CancellationError` when the calling task is cancelled first.
    package func wait() async throws -> Value {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let now = state.withLock { state -> Result<Value, any Error>? in
                    switch state.1 {
                    case .done(let value):
                        return .success(value)
                    case .waiting(var waiters):
                        // A cancellation is seen here or in the handler below, which runs after the task is marked.
                        if Task.isCancelled { return .failure(CancellationError()) }
                        waiters[id] = continuation
                        state.1 = .waiting(waiters)
                        return nil
                    }
                }
                if let now { continuation.resume(with: now) }
            }
        } onCancel: {
            let waiter = state.withLock { state -> CheckedContinuation<Value, any Error>? in
                guard case .waiting(var waiters) = state.1 else { return nil }
                let waiter = waiters.removeValue(forKey: id)
                state.1 = .waiting(waiters)
                return waiter
            }
            waiter?.resume(throwing: CancellationError())
        }
    }

    /// Waits for the value, but not longer than `timeout`.
    ///
    /// - Returns: `nil` when the time is up.
    /// - Throws: `CancellationError` when the calling task is cancelled first.
    package func wait(atMost timeout: Duration) async throws -> Value? {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await self.wait() }
            group.addTask {
                try await Task.sleep(for: timeout)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }
}

extension OneShot {
    /// Waits for the value even when the calling task is cancelled: for values that are always set soon.
    package var uncancelled: Value {
        get async {
            while true {
                // A separate task is not cancelled with the caller.
                if let value = await Task(operation: { try? await wait() }).value { return value }
            }
        }
    }
}
