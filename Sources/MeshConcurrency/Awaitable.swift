import Synchronization

/// A state that tasks can wait for.
@usableFromInline
package protocol AwaitableState: Sendable {
    associatedtype Answer: Sendable

    /// Takes what a task gets now; `nil` when it has to wait.
    mutating func takeAnswer() -> Answer?
}

/// A state behind a lock, and the tasks that wait for it: a condition variable for asynchronous code.
///
/// Tasks get their answers in the order in which they began to wait. A continuation is resumed after the lock was
/// released. It is inlinable: otherwise other modules would call it without specialization, for every message.
@usableFromInline
package struct Awaitable<State: AwaitableState>: Sendable {
    @usableFromInline typealias Waiter = UnsafeContinuation<State.Answer?, Never>
    @usableFromInline typealias Wake = (waiter: Waiter, answer: State.Answer, hasMore: Bool)

    @usableFromInline
    struct Guarded: Sendable {
        @usableFromInline var state: State
        @usableFromInline var waiters: [(id: UInt64, waiter: Waiter)] = []

        @inlinable
        init(_ state: State) { self.state = state }

        /// The first waiting task and its answer; `nil` when none waits, or it has to wait on.
        @inlinable
        mutating func takeWake() -> Wake? {
            guard !waiters.isEmpty, let answer = state.takeAnswer() else { return nil }
            return (waiters.removeFirst().waiter, answer, !waiters.isEmpty)
        }
    }

    @usableFromInline let guarded: Locked<Guarded>

    /// Begins with a state for which no task waits.
    @inlinable
    package init(_ state: State) { guarded = Locked(Guarded(state)) }

    /// Reads or changes the state without answers for waiting tasks.
    @inlinable
    @inline(__always)
    package func withLock<Output>(_ body: (inout State) -> Output) -> Output {
        guarded.withLock { body(&$0.state) }
    }

    /// Reads or changes the state, given how many tasks wait, without answers for them.
    @inlinable
    package func withLock<Output>(_ body: (inout State, _ waiting: Int) -> Output) -> Output {
        guarded.withLock { body(&$0.state, $0.waiters.count) }
    }

    /// Changes the state, then gives waiting tasks the answers that it has for them.
    @inlinable
    package func update<Output>(_ body: (inout State) -> Output) -> Output {
        let (output, wake) = guarded.withLock { guarded in
            let output = body(&guarded.state)
            return (output, guarded.takeWake())
        }
        resume(wake)
        return output
    }

    /// The same, given how many tasks wait.
    @inlinable
    package func update<Output>(_ body: (inout State, _ waiting: Int) -> Output) -> Output {
        let (output, wake) = guarded.withLock { guarded in
            let output = body(&guarded.state, guarded.waiters.count)
            return (output, guarded.takeWake())
        }
        resume(wake)
        return output
    }

    /// Takes an answer; waits while there is none.
    ///
    /// It never leaves the caller's actor, and does not suspend when there is an answer.
    ///
    /// - Parameters:
    ///   - isolation: the caller's actor.
    ///   - onWait: is called once the task waits.
    /// - Returns: `nil` when the task is cancelled while it waits.
    @inlinable
    package func next(
        isolation: isolated (any Actor)? = #isolation,
        onWait: () -> Void = {}
    ) async -> State.Answer? {
        if let answer = guarded.withLock({ $0.state.takeAnswer() }) { return answer }
        return await wait(isolation: isolation, onWait: onWait)
    }

    /// Waits for an answer, after the state had none.
    ///
    /// - Returns: `nil` when the task is cancelled while it waits.
    @inlinable
    package func wait(
        isolation: isolated (any Actor)? = #isolation,
        onWait: () -> Void = {}
    ) async -> State.Answer? {
        await wait(WaiterID.next(), isolation: isolation, onWait: onWait)
    }

    /// Takes an answer; waits while there is none, until a deadline.
    ///
    /// - Returns: `nil` at the deadline, and when the task is cancelled while it waits.
    package func next(until deadline: ContinuousClock.Instant) async -> State.Answer? {
        if let answer = guarded.withLock({ $0.state.takeAnswer() }) { return answer }
        let id = WaiterID.next()
        let timer = Task {
            try await Task.sleep(until: deadline, clock: .continuous)
            end(id)
        }
        defer { timer.cancel() }
        // The timer may end before the task waits.
        return await wait(id) { if ContinuousClock.now >= deadline { end(id) } }
    }

    @inlinable
    func wait(
        _ id: UInt64,
        isolation: isolated (any Actor)? = #isolation,
        onWait: () -> Void
    ) async -> State.Answer? {
        // The thread sanitizer does not see that a continuation orders memory accesses; it sees the lock.
        defer { guarded.withLock { _ in } }
        return await withTaskCancellationHandler {
            await withUnsafeContinuation(isolation: isolation) { (waiter: Waiter) in
                let (isWaiting, answer) = guarded.withLock { guarded -> (Bool, State.Answer?) in
                    if let answer = guarded.state.takeAnswer() { return (false, answer) }
                    // A task is marked as cancelled before its cancellation handlers run. So either this line sees the
                    // mark, or the handler, which takes the same lock, finds the waiter.
                    if Task.isCancelled { return (false, nil) }
                    guarded.waiters.append((id, waiter))
                    return (true, nil)
                }
                if isWaiting { onWait() } else { waiter.resume(returning: answer) }
            }
        } onCancel: {
            end(id)
        }
    }

    /// Ends a task's waiting without an answer.
    @inlinable
    func end(_ id: UInt64) {
        let waiter = guarded.withLock { guarded in
            guarded.waiters.firstIndex { $0.id == id }.map { guarded.waiters.remove(at: $0).waiter }
        }
        waiter?.resume(returning: nil)
    }

    @inlinable
    func resume(_ first: Wake?) {
        var wake = first
        while let current = wake {
            current.waiter.resume(returning: current.answer)
            wake = current.hasMore ? guarded.withLock { $0.takeWake() } : nil
        }
    }
}

/// Numbers for waiting tasks, so that a cancellation finds its own.
@usableFromInline
enum WaiterID {
    private static let last = Atomic<UInt64>(0)

    @usableFromInline
    static func next() -> UInt64 { last.add(1, ordering: .relaxed).newValue }
}
