/// What a tool does and what follows from what happens to it: a pure value, without processes and clocks.
struct ToolStateMachine: Sendable, Hashable {
    /// What is to be done, in order.
    enum Action: Sendable, Hashable {
        /// Start the process and call ``ToolStateMachine/launched()`` or ``ToolStateMachine/launchFailed(_:policy:)``.
        case launch
        /// Ask the process to end.
        case terminate
        /// Call ``ToolStateMachine/restartDue()`` after a delay.
        case schedule(after: Duration)
        /// Do not call it.
        case cancelSchedule
        /// Say that the tool was started.
        case started
        /// Say that it crashed.
        case crashed(error: String, restartCount: Int)
        /// Say that it was stopped.
        case stopped(reason: String)
    }

    private enum Phase: Hashable {
        case idle
        case launching(isRestart: Bool)
        case running
        case stopping(reason: String)
        case waiting
    }

    /// The reason when a tool ends with code 0 that nobody asked to end.
    static let exitedReason = "exited"
    /// What the reason begins with when a tool has crashed too often.
    static let gaveUpReason = "gave up after "

    private var phase = Phase.idle
    private var history = RestartHistory()
    /// What it does, as others see it.
    private(set) var state = ToolStatus.State.installed
    /// How often it was started again by itself since it was last started on request.
    private(set) var restartCount = 0
    /// Why it last crashed.
    private(set) var lastError: String?

    /// Whether it neither runs nor will.
    var isIdle: Bool { phase == .idle }

    /// It shall run. A tool that waits for its restart is started at once.
    mutating func start() -> [Action] {
        let isWaiting = phase == .waiting
        guard isWaiting || phase == .idle else { return [] }
        phase = .launching(isRestart: false)
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

    /// There is no process. On request that is the end of it; a restart counts as one more failure.
    mutating func launchFailed(_ error: String, policy: RestartPolicy) -> [Action] {
        guard case .launching(let isRestart) = phase else { return [] }
        let crash = crashed(error)
        guard isRestart else {
            phase = .idle
            return [crash]
        }
        return [crash] + follow(history.ended(isFailure: true, uptime: .zero, policy: policy), policy: policy)
    }

    /// The process has ended.
    ///
    /// - Parameters:
    ///   - error: Why, when that is a failure; `nil` for an exit with code 0.
    ///   - uptime: How long it ran.
    mutating func ended(error: String?, uptime: Duration, policy: RestartPolicy) -> [Action] {
        switch phase {
        case .stopping(let reason):
            phase = .idle
            state = .stopped
            return [.stopped(reason: reason)]
        case .running:
            let decision = history.ended(isFailure: error != nil, uptime: uptime, policy: policy)
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
        return [.launch]
    }

    /// It shall not run. When it is being stopped already, the first reason stays, and it is asked once more.
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

    private mutating func crashed(_ error: String) -> Action {
        lastError = error
        state = .crashed
        // As nodes of the Go mesh count: the restart that would follow is in it.
        return .crashed(error: error, restartCount: restartCount + 1)
    }

    private mutating func follow(_ decision: RestartHistory.Decision, policy: RestartPolicy) -> [Action] {
        switch decision {
        case .restart(let delay):
            phase = .waiting
            state = .restarting
            return [.schedule(after: delay)]
        case .giveUp:
            phase = .idle
            return [.stopped(reason: Self.gaveUpReason + "\(policy.maximumRestarts) restarts")]
        case .leave:
            phase = .idle
            return []
        }
    }
}
