import MeshConcurrency
import MeshEvents

/// Runs a node's checks once per interval, independently of each other. A check that hangs does not delay the others,
/// and is not run again before it has ended.
final class HealthCheckRunner: Sendable {
    private struct State {
        var checks = HealthCheckStates()
        var registered: [String: (id: UInt64, check: HealthCheck)] = [:]
        var watches: [String: Task<Void, Never>] = [:]
        var isRunning = false
    }

    private let interval: Duration
    private let clock: any Clock<Duration>
    private let onChange: @Sendable () -> Void
    private let state = Locked(State())

    /// - Parameter onChange: called when a check begins or ceases to fail.
    init(interval: Duration, clock: any Clock<Duration>, onChange: @escaping @Sendable () -> Void) {
        self.interval = interval
        self.clock = clock
        self.onChange = onChange
    }

    /// The failing checks by name, with the reason.
    var failing: [String: String] { state.withLock { $0.checks.failing } }

    func register(_ check: HealthCheck) {
        let (old, id, isRunning) = state.withLock { state in
            let id = state.checks.add(check.name, timeout: check.timeout)
            state.registered[check.name] = (id, check)
            return (state.watches.removeValue(forKey: check.name), id, state.isRunning)
        }
        old?.cancel()
        if isRunning { watch(check, id) }
    }

    func remove(_ name: String) {
        let (watch, isChange) = state.withLock { state in
            state.registered[name] = nil
            return (state.watches.removeValue(forKey: name), state.checks.remove(name))
        }
        watch?.cancel()
        if isChange { onChange() }
    }

    func start() {
        let registered = state.withLock { state in
            state.isRunning = true
            return Array(state.registered.values)
        }
        for (id, check) in registered { watch(check, id) }
    }

    /// Runs no more checks; does not wait for checks under way.
    func stop() {
        let watches = state.withLock { state in
            state.isRunning = false
            defer { state.watches = [:] }
            return Array(state.watches.values)
        }
        for watch in watches { watch.cancel() }
    }

    private func watch(_ check: HealthCheck, _ id: UInt64) {
        // Checks come and go while the node runs; ``remove(_:)``, ``register(_:)`` and ``stop()`` cancel the task.
        let task = Task {
            while await ask(check, id), (try? await clock.sleep(for: interval)) != nil {}
        }
        let isWanted = state.withLock { state in
            // Meanwhile the check may have been replaced, or the runner stopped.
            let isWanted = state.isRunning && state.registered[check.name]?.id == id
            if isWanted { state.watches[check.name] = task }
            return isWanted
        }
        if !isWanted { task.cancel() }
    }

    /// Runs a check once; `false` when the surrounding task was cancelled.
    private func ask(_ check: HealthCheck, _ id: UInt64) async -> Bool {
        state.withLock { $0.checks.begin(check.name, id) }
        let ended = OneTimeSignal()
        // Not a child task: a check that ignores its cancellation may run for ever, and nothing may wait for it then.
        let run = Task {
            let failure = await check.ask()
            report { $0.finish(check.name, id, failure: failure) }
            ended.send()
        }
        defer { run.cancel() }
        return await withBackgroundTask {
            guard (try? await self.clock.sleep(for: check.timeout)) != nil else { return }
            self.report { $0.expire(check.name, id) }
            run.cancel()
        } _: {
            (try? await ended.wait()) != nil
        }
    }

    private func report(_ change: (inout HealthCheckStates) -> Bool) {
        if state.withLock({ change(&$0.checks) }) { onChange() }
    }
}
