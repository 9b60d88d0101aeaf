/// A value that is set once and that any number of tasks can wait for.
package final class OneShot<Value: Sendable>: Sendable {
    private struct State: AwaitableState {
        var value: Value?
        mutating func takeAnswer() -> Value? { value }
    }

    private let state = Awaitable(State())

    package init() {}

    /// The value; `nil` until it is set.
    package var value: Value? { state.withLock { $0.value } }

    /// Sets the value and passes it to all waiting tasks; only the first call counts.
    package func fulfil(_ value: Value) {
        state.update { state in
            if state.value == nil { state.value = value }
        }
    }

    /// Waits for the value.
    ///
    /// - Throws: `CancellationError` when the calling task is cancelled first.
    package func wait() async throws -> Value {
        guard let value = await state.next() else { throw CancellationError() }
        return value
    }

    /// Waits for the value, but not longer than `timeout`.
    ///
    /// - Returns: `nil` when the time is up.
    /// - Throws: `CancellationError` when the calling task is cancelled first.
    package func wait(atMost timeout: Duration) async throws -> Value? {
        if let value = await value(until: .now + timeout) { return value }
        try Task.checkCancellation()
        return nil
    }

    /// Waits for the value until a deadline.
    ///
    /// - Returns: `nil` at the deadline, and when the calling task is cancelled first.
    package func value(until deadline: ContinuousClock.Instant) async -> Value? { await state.next(until: deadline) }
}

extension OneShot {
    /// Waits for the value even when the calling task is cancelled: for values that are always set soon.
    package var uncancelled: Value {
        get async {
            while true {
                if let value = await MeshConcurrency.uncancelled({ try? await self.wait() }) { return value }
            }
        }
    }
}

/// A signal that is sent once and that any number of tasks can wait for.
package typealias OneTimeSignal = OneShot<Void>

extension OneTimeSignal {
    /// Whether it has been sent.
    package var isSent: Bool { value != nil }

    /// Sends it to every waiting task. Harmless when repeated.
    package func send() { fulfil(()) }
}
