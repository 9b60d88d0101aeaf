import MeshEvents

/// The state of a tool and the actions that follow from each event: a pure value, without processes and clocks.
struct ToolStateMachine: Sendable, Hashable {
    /// An action for the caller to perform, in order.
    enum Action: Sendable, Hashable {
        /// Start the process and call ``ToolStateMachine/launched()``, ``ToolStateMachine/launchDeferred(_:)`` or
        /// ``ToolStateMachine/launchFailed(_:now:policy:hasSchedule:)``.
        case launch
        /// Say why it is not started yet. It is tried again, and that is no crash.
        case deferred(error: String)
        /// Ask the process to end.
        case terminate
        /// Call ``ToolStateMachine/restartDue()`` after a delay.
        case schedule(after: Duration)
        /// Cancel the scheduled call.
        case cancelSchedule
        /// Emit that the tool was started.
        case started
        /// Emit that it crashed, and whether it is started again after a delay.
        case crashed(error: String, restartCount: Int, isRestarting: Bool)
        /// Emit that it was stopped.
        case stopped(reason: String)
        /// Emit that it crashed too often and is not started again.
        case gaveUp(reason: String)
        /// Emit that its run has ended, and why it failed; `nil` for an exit with code 0.
        case finished(error: String?)
    }

    private enum Phase: Hashable {
        case idle
        /// When it fails and `retries`, the restart policy decides what follows.
        case launching(retries: Bool)
        /// It waits until its node can start it.
        case deferred(retries: Bool)
        case running
        case stopping(reason: String)
        case waiting
    }

    /// The reason when a tool ended by itself with code 0.
    static let exitedReason = "exited"
    /// The longest delay before a start is tried again for which its node lacked something.
    static let longestDeferral: Duration = .seconds(10)

    private var phase = Phase.idle
    /// How often the present start was tried in vain for lack of something that its node has not.
    private var deferrals = 0
    private var history = RestartHistory()
    /// The public state.
    private(set) var state = ToolStatus.State.installed
    /// How often the supervisor restarted it since it was last started on request.
    private(set) var restartCount = 0
    /// The error of its last crash.
    private(set) var lastError: String?
    /// Whether its last run has ended by itself with code 0, and no other follows but by its schedule.
    private(set) var hasSucceeded = false

    /// Whether it neither runs nor waits for a start.
    var isIdle: Bool { phase == .idle }

    /// Whether it waits until its node can start it.
    var isDeferred: Bool { if case .deferred = phase { true } else { false } }

    /// It is to be started. A tool that waits for its restart is started at once.
    ///
    /// - Parameter retries: Whether a start that fails counts as a crash, after which the restart policy decides, as for a
    ///   tool that its node starts. A start on request answers with the error instead.
    mutating func start(retries: Bool = false) -> [Action] {
        let isWaiting = phase == .waiting || isDeferred
        guard isWaiting || phase == .idle else { return [] }
        phase = .launching(retries: retries)
        deferrals = 0
        state = .starting
        history = RestartHistory()
        restartCount = 0
        lastError = nil
        hasSucceeded = false
        return isWaiting ? [.cancelSchedule, .launch] : [.launch]
    }

    /// The process runs.
    mutating func launched() -> [Action] {
        phase = .running
        state = .running
        deferrals = 0
        return [.started]
    }

    /// The process could not be started for lack of something that its node has not, such as file descriptors. It is tried
    /// again after 1 s, 2 s and so on, until it can be, whatever the policy says: the tool has not failed.
    mutating func launchDeferred(_ error: String) -> [Action] {
        guard case .launching(let retries) = phase else { return [] }
        phase = .deferred(retries: retries)
        state = .backingOff
        lastError = error
        let delay = min(.seconds(1 << min(deferrals, 10)), Self.longestDeferral)
        deferrals += 1
        return [.deferred(error: error), .schedule(after: delay)]
    }

    /// The process could not be started. After a requested start the tool stays idle; at a start by its node and at a
    /// restart this is one more failure. A tool with a schedule waits for its next time.
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
        guard case .launching(let retries) = phase else { return [] }
        if hasSchedule { return [finished(error)] }
        guard retries else {
            phase = .idle
            return [crashed(error, isRestarting: false)]
        }
        let decision = history.ended(isFailure: true, uptime: .zero, now: now, policy: policy)
        return [crashed(error, isRestarting: decision.isRestart)] + follow(decision, policy: policy)
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
                let following = follow(decision, policy: policy)
                hasSucceeded = isIdle
                return [.stopped(reason: Self.exitedReason)] + following
            }
            return [crashed(error, isRestarting: decision.isRestart)] + follow(decision, policy: policy)
        case .idle, .launching, .waiting, .deferred:
            return []
        }
    }

    /// The delay before a restart is over.
    mutating func restartDue() -> [Action] {
        if case .deferred(let retries) = phase {
            phase = .launching(retries: retries)
            state = .starting
            return [.launch]
        }
        guard phase == .waiting else { return [] }
        restartCount += 1
        phase = .launching(retries: true)
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
        case .waiting, .deferred:
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
        hasSucceeded = error == nil
        return .finished(error: error)
    }

    private mutating func crashed(_ error: String, isRestarting: Bool) -> Action {
        lastError = error
        state = .failed
        // Counted as by nodes of the Go mesh: the restart that may follow is included.
        return .crashed(error: error, restartCount: restartCount + 1, isRestarting: isRestarting)
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
