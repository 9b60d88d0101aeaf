/// Wakes one task that waits for something to do. Calls before it waits count as one.
package struct Wake: Sendable {
    private struct State: AwaitableState {
        var isSet = false

        mutating func takeAnswer() -> Void? {
            guard isSet else { return nil }
            isSet = false
            return ()
        }
    }

    private let state = Awaitable(State())

    package init() {}

    /// Wakes the task, or lets its next waiting end at once.
    package func send() { state.update { $0.isSet = true } }

    /// Waits until it is woken, until a deadline, or until the task is cancelled.
    package func wait(until deadline: ContinuousClock.Instant) async { await state.next(until: deadline) }
}
