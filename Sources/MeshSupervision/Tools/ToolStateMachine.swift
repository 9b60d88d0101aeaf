import MeshEvents

/// The state of a tool and the actions that follow from each event: a pure value, without processes and clocks.
struct ToolStateMachine: Sendable, Hashable {
    /// An action for the caller to perform, in order.
    enum Action: Sendable, Hashable {
        /// Start the process and call ``ToolStateMachine/launched()`` or ``ToolStateMachine/launchFailed(_:policy:)``.
        case launch
        /// Ask the process to end.
        case terminate
        /// Call ``ToolStateMachine/restartDue()`` after a delay.
        case schedule(after: Duration)
        /// Cancel the scheduled call.
        case cancelSchedule
        /// Emit that the tool was started.
        case started
        /// Emit that it crashed.
        case crashed(error: String, restartCount: Int)
        /// Emit that it was stopped.
        case stopped(reason: String)
        /// Emit that it crashed too often and is not started again.
        case gaveUp(reason: String)
        /// Emit that its run has ended, and why it failed; `nil` for an exit with code 0.
        case finished(error: String?)
    }

    private enum Phase: Hashable {
        case idle
        case launching(isRestart: Bool)
        case running
        case stopping(reason: String)
        case waiting
    }

    /// The reason when a tool ended by itself with code 0.
    static let exitedReason = "exited"

    private var phase = Phase.idle
    private var history = RestartHistory()
    /// The public state.
    private(set) var state = ToolStatus.State.installed
    /// How often the supervisor restarted it since it was last started on request.
    private(set) var restartCount = 0
    /// The error of its last crash.
    private(set) var lastError: String?

    /// Whether it neither runs nor waits for a start.
    var isIdle: Bool { phase == .idle }

    /// A start was requested. A tool that waits for its restart is started at once.
    mutating func start() -> [Action] {
        let isWaiting = phase == .waiting
        guard isWaiting || phase == .idle else { return [] }
        phase = .launching(isRestart: false)
        state = .starting
        history = RestartHistory()
        restartCount = 0
        lastError = nil
        return isWaiting ? [.cancelSchedule, .launch] : [.launch]
    }

    /// The process runs.
    mutating func launched() -> [Action] {
        phase = .running
        state = .running
        return [.started]
    }

    /// The process could not be started. After a requested start the tool stays idle; at a restart this is one more
    /// failure. A tool with a schedule waits for its next time.
    ///
    /// - Parameters:
    ///   - now: The time, from any beginning.
    ///   - hasSchedule: Whether the tool is started by a schedule.
    mutating func launchFailed(
        _ error: String,
        now: Duration = .zero,
        policy: RestartPolicy,
        hasSchedule: Bool = false
    ) -> [Action] {
        guard case .launching(let isRestart) = phase else { return [] }
        if hasSchedule { return [finished(error)] }
        let crash = crashed(error)
        guard isRestart else {
            phase = .idle
            return [crash]
        }
        let decision = history.ended(isFailure: true, uptime: .zero, now: now, policy: policy)
        return [crash] + follow(decision, policy: policy)
    }

    /// The process has ended.
    ///
    /// - Parameters:
    ///   - error: Why it failed; `nil` for an exit with code 0.
    ///   - uptime: How long it ran.
    ///   - now: The time, from any beginning.
    ///   - hasSchedule: Whether the tool is started by a schedule.
    mutating func ended(
        error: String?,
        uptime: Duration,
        now: Duration = .zero,
        policy: RestartPolicy,
        hasSchedule: Bool = false
    ) -> [Action] {
        switch phase {
        case .stopping(let reason):
            phase = .idle
            state = .stopped
            return [.stopped(reason: reason)]
        case .running where hasSchedule:
            return [finished(error)]
        case .running:
            let decision = history.ended(isFailure: error != nil, uptime: uptime, now: now, policy: policy)
            guard let error else {
                state = .stopped
                return [.stopped(reason: Self.exitedReason)] + follow(decision, policy: policy)
            }
            return [crashed(error)] + follow(decision, policy: policy)
        case .idle, .launching, .waiting:
            return []
        }
    }

    /// The delay before a restart is over.
    mutating func restartDue() -> [Action] {
        guard phase == .waiting else { return [] }
        restartCount += 1
        phase = .launching(isRestart: true)
        state = .starting
        return [.launch]
    }

    /// A stop was requested. When the tool is being stopped already, the first reason stays, and it is terminated
    /// again.
    mutating func stop(reason: String) -> [Action] {
        switch phase {
        case .running:
            phase = .stopping(reason: reason)
            state = .stopping
            return [.terminate]
        case .stopping:
            return [.terminate]
        case .waiting:
            phase = .idle
            state = .stopped
            return [.cancelSchedule, .stopped(reason: reason)]
        case .idle, .launching:
            return []
        }
    }

    /// A stop was requested while it waited for the next time of its schedule.
    mutating func paused(reason: String) -> [Action] {
        guard isIdle else { return [] }
        state = .stopped
        return [.stopped(reason: reason)]
    }

    private mutating func finished(_ error: String?) -> Action {
        phase = .idle
        lastError = error
        state = error == nil ? .stopped : .failed
        return .finished(error: error)
    }

    private mutating func crashed(_ error: String) -> Action {
        lastError = error
        state = .failed
        // Counted as by nodes of the Go mesh: the restart that may follow is included.
        return .crashed(error: error, restartCount: restartCount + 1)
    }

    private mutating func follow(_ decision: RestartHistory.Decision, policy: RestartPolicy) -> [Action] {
        switch decision {
        case .restart(let delay):
            phase = .waiting
            state = .backingOff
            return [.schedule(after: delay)]
        case .giveUp:
            phase = .idle
            let within = policy.within.map { " within \(ManifestDuration.text($0))" } ?? ""
            return [.gaveUp(reason: ToolStopped.gaveUpReason + "\(policy.maximumRestarts) restarts\(within)")]
        case .leave:
            phase = .idle
            return []
        }
    }
}
