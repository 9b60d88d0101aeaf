/// Decides whether one run of a tool works: a pure value, without processes and clocks. Times count from the start of the
/// run.
struct ToolHealthMachine: Sendable, Hashable {
    /// How an unhealthy tool is ended.
    enum Ending: Sendable, Hashable {
        /// As on request.
        case terminate
        /// As by systemd's watchdog: SIGABRT, so that what it hung in can be seen.
        case abort
    }

    /// An action for the caller to perform, in order.
    enum Action: Sendable, Hashable {
        /// Run the probe and pass its result on; only one at a time is under way.
        case probe(ToolProbe)
        /// Emit that it is ready.
        case ready(after: Duration)
        /// Emit that it is unhealthy.
        case unhealthy(reason: String, failures: Int)
        /// Emit that it is healthy again.
        case healthy
        /// End it.
        case end(error: String, Ending)
        /// Note what it says of itself.
        case says(String)
        /// Note which error it has reported.
        case reported(errorNumber: Int32)
    }

    /// What has happened since the last step.
    struct Inputs: Sendable, Hashable {
        /// What the tool has said.
        var notice = ToolNotice()
        /// The result of the probe, when it has ended.
        var result: ProbeResult?
        /// Whether the tool was asked to end: nothing is expected of it any more.
        var isOver = false
    }

    /// How a probe ended.
    enum ProbeResult: Sendable, Hashable {
        case passed
        case failed(String)
        /// It could not be run, for a reason that lies with the node: it says nothing of the tool.
        case notAsked(String)
    }

    private enum Cause { case readiness, check, watchdog, stopping }
    private enum Purpose { case readiness, check }

    /// A step that comes this much later than it should shows that this process did not run, or the machine slept. The tool
    /// gets the lost time.
    static let tolerance: Duration = .seconds(2)

    private let health: ToolHealth
    private let grace: Duration
    private var watchdog: Duration?
    private var isReady = false
    private var isOver = false
    private var isStopping = false
    private var causes: Set<Cause> = []
    /// Whether it was unhealthy, in this run or the one before, and nothing has shown yet that it is not.
    private var owesHealthy: Bool
    private var lastStep = Duration.zero
    private var probing: Purpose?
    private var probeStart = Duration.zero
    private var lastReason = ""
    private var failures = 0
    private var status: String?
    private var nextProbe: Duration?
    private var readyBy: Duration?
    private var aliveBy: Duration?
    private var endBy: Duration?

    /// Creates the machine of a run.
    ///
    /// - Parameters:
    ///   - grace: how long the tool may take to end after `STOPPING=1`.
    ///   - wasUnhealthy: whether the run before ended as unhealthy.
    init(_ health: ToolHealth, grace: Duration, wasUnhealthy: Bool = false) {
        self.health = health
        self.grace = grace
        watchdog = health.watchdog
        owesHealthy = wasUnhealthy
    }

    /// When ``step(_:at:)`` has to be called next without inputs; `nil` for never.
    var deadline: Duration? {
        guard !isOver else { return nil }
        return [probing == nil ? nextProbe : nil, readyBy, aliveBy, endBy].compactMap(\.self).min()
    }

    /// The run begins, or other settings count for it from now on.
    ///
    /// - Parameters:
    ///   - now: the present time.
    ///   - isReady: whether it has shown that it is ready; `nil` when the run begins.
    mutating func begin(at now: Duration = .zero, isReady: Bool? = nil) -> [Action] {
        lastStep = now
        if isReady == true || isReady == nil && health.start == nil {
            self.isReady = true
            watch(at: now)
            // With nothing to watch there is nothing that could show that it works.
            let isUnwatched = isReady == true && health.check == nil && health.watchdog == nil
            return (isUnwatched ? works(.check, isShown: true) : []) + due(at: now)
        }
        guard let readiness = health.start else { return becomeReady(at: now) }
        readyBy = now + health.readyWithin
        if case .probed = readiness { nextProbe = now }
        return due(at: now)
    }

    /// Takes in what has happened, and looks at what is due.
    mutating func step(_ inputs: Inputs, at now: Duration) -> [Action] {
        guard !isOver else { return [] }
        if inputs.isOver {
            isOver = true
            return []
        }
        // What counts is the time since the last step, since nothing tells when the pause began.
        if let deadline, now - deadline > Self.tolerance { postpone(by: now - lastStep) }
        lastStep = now
        var actions = heard(inputs.notice, at: now)
        if !isOver, let result = inputs.result { actions += probed(result, at: now) }
        return actions + due(at: now)
    }

    /// Gives the tool time that was lost.
    private mutating func postpone(by time: Duration) {
        readyBy = readyBy.map { $0 + time }
        aliveBy = aliveBy.map { $0 + time }
        endBy = endBy.map { $0 + time }
    }

    // MARK: What the tool says

    private mutating func heard(_ notice: ToolNotice, at now: Duration) -> [Action] {
        guard !notice.isEmpty else { return [] }
        var actions: [Action] = []
        if let text = notice.status, text != status {
            status = text
            actions.append(.says(text))
        }
        if let number = notice.errorNumber { actions.append(.reported(errorNumber: number)) }
        if health.watchdog != nil, let asked = notice.watchdog {
            watchdog = asked == .zero ? nil : max(asked, ToolHealth.times.lowerBound)
            if isReady, !isStopping { aliveBy = watchdog.map { now + $0 } }
        }
        if notice.isStopping, !isStopping {
            isStopping = true
            (nextProbe, readyBy, aliveBy) = (nil, nil, nil)
            endBy = now + grace
        }
        if let more = notice.moreTime {
            readyBy = readyBy.map { max($0, now + more) }
            endBy = endBy.map { max($0, now + more) }
        }
        guard !isStopping else { return actions }
        if notice.isReady, !isReady, health.readiness == .notified { actions += becomeReady(at: now) }
        if notice.isAlive, health.watchdog != nil {
            if isReady { aliveBy = watchdog.map { now + $0 } }
            actions += works(.watchdog, isShown: health.check == nil && isReady)
        }
        if notice.isTriggered, health.watchdog != nil {
            actions += fail(.watchdog, "watchdog: it has found that it does not work")
        }
        return actions
    }

    /// - Parameter hasPassedCheck: whether it is its check that shows it.
    private mutating func becomeReady(at now: Duration, hasPassedCheck: Bool = false) -> [Action] {
        isReady = true
        readyBy = nil
        watch(at: now)
        if hasPassedCheck, let check = health.check { nextProbe = max(now, probeStart + check.every) }
        return [.ready(after: now)] + works(.readiness, isShown: health.check == nil || hasPassedCheck)
    }

    /// Begins to watch a tool that is ready. Whether its check passes is to be known soon.
    private mutating func watch(at now: Duration) {
        nextProbe = health.check.map { now + min($0.every, ToolHealth.firstRhythm) }
        aliveBy = watchdog.map { now + $0 }
    }

    // MARK: Probes

    private var probe: ToolProbe? {
        if isReady { return health.check }
        if case .probed(let probe) = health.start { return probe }
        return nil
    }

    private mutating func probed(_ result: ProbeResult, at now: Duration) -> [Action] {
        guard let purpose = probing, let probe else { return [] }
        probing = nil
        guard !isStopping else { return [] }
        // One at a time: the next begins at once when this one has taken longer than the time between two.
        nextProbe = max(now, probeStart + probe.every)
        switch (purpose, result) {
        case (.readiness, .passed): return becomeReady(at: now, hasPassedCheck: health.readiness == nil)
        case (.readiness, .failed(let reason)):
            lastReason = reason
            return []
        case (.readiness, .notAsked(let reason)):
            lastReason = reason
            // The tool gets the time in which it was not asked.
            readyBy = readyBy.map { $0 + (nextProbe ?? now) - probeStart }
            return []
        case (.check, .notAsked): return []
        case (.check, .passed):
            failures = 0
            return works(.check, isShown: true)
        case (.check, .failed(let reason)):
            failures += 1
            guard failures >= probe.failures else { return [] }
            return fail(.check, reason, error: "unhealthy: \(reason)", failures)
        }
    }

    // MARK: What is due

    private mutating func due(at now: Duration) -> [Action] {
        var actions: [Action] = []
        if let endBy, now >= endBy {
            self.endBy = nil
            actions += fail(.stopping, "it said that it ends, and has not within \(ToolHealth.text(grace))")
        }
        if let readyBy, now >= readyBy {
            self.readyBy = nil
            let reason = lastReason.isEmpty ? "" : ": \(lastReason)"
            actions += fail(.readiness, "not ready within \(ToolHealth.text(health.readyWithin))\(reason)")
        }
        if let aliveBy, now >= aliveBy, let watchdog {
            self.aliveBy = nil
            actions += fail(.watchdog, "watchdog: no sign of life for \(ToolHealth.text(watchdog))")
        }
        if !isOver, probing == nil, let nextProbe, now >= nextProbe, let probe {
            probing = isReady ? .check : .readiness
            probeStart = now
            self.nextProbe = nil
            actions.append(.probe(probe))
        }
        return actions
    }

    // MARK: What follows

    private mutating func fail(
        _ cause: Cause,
        _ reason: String,
        error: String? = nil,
        _ failures: Int = 1
    ) -> [Action] {
        guard !isOver else { return [] }
        let isFirst = causes.isEmpty
        causes.insert(cause)
        guard isFirst else { return [] }
        owesHealthy = true
        let unhealthy = Action.unhealthy(reason: reason, failures: failures)
        guard health.onUnhealthy == .restart else { return [unhealthy] }
        isOver = true
        return [unhealthy, .end(error: error ?? reason, cause == .watchdog ? .abort : .terminate)]
    }

    /// Takes in that what a cause is about works.
    ///
    /// - Parameter isShown: whether this shows that the tool as a whole works, for a run after an unhealthy one.
    private mutating func works(_ cause: Cause, isShown: Bool) -> [Action] {
        let isOverNow = causes.remove(cause) != nil
        guard owesHealthy, causes.isEmpty, isOverNow || isShown else { return [] }
        owesHealthy = false
        return [.healthy]
    }
}
