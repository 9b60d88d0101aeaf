public import Logging
import MeshConcurrency
public import MeshEvents
public import ServiceLifecycle

/// Keeps the tools of a node running, and emits events about them.
///
/// ```swift
/// let supervisor = ToolSupervisor(environment: ToolEnvironment(url: url, node: "atelier"), logger: logger) { event in
///     try? bus.emit(event)
/// }
/// try await supervisor.install(ToolSpecification(name: "whisper", version: "1.0.0", command: ["whisper", "serve"]))
/// try await supervisor.start("whisper")
/// ```
///
/// It emits `tool.started` when the system has started the program, and `tool.crashed` when all its processes have
/// ended. A tool is the program and all processes that it starts: they are stopped and killed together, even when this
/// process itself is killed (`SIGKILL`). The tools end with the supervisor.
///
/// | what happened | events |
/// | --- | --- |
/// | it exits with another code than 0, or a signal ends it | `tool.crashed`, then `tool.started` after a delay |
/// | the same once more than the policy allows | `tool.crashed`, `tool.stopped` (`gave up after 5 restarts`, `failed`) |
/// | it exits with 0 | `tool.stopped` (`exited`); with the mode `always`, `tool.started` after a delay |
/// | it shows that it is ready, as its ``ToolHealth`` asks | `tool.ready` |
/// | it runs and does not work, as its ``ToolHealth`` asks | `tool.unhealthy`; then, mostly, it is ended as a crash |
/// | it works again | `tool.healthy` |
/// | it uses more memory than its limit | `tool.crashed` with the reason, then as after any failure |
/// | it has a schedule, and a run ends | `tool.finished`, whatever the code; `tool.started` at its next time |
/// | it has a schedule, and is due while it runs | `tool.skipped`; when that goes on, less and less often |
/// | it cannot be started on request | `tool.crashed`; the call throws, and there is no retry |
/// | it cannot be started by a manifest, or again | as after any failure |
public final class ToolSupervisor: Sendable {
    struct State {
        var runners: [String: ToolRunner] = [:]
        var isShutDown = false

        func notInstalled(_ name: String) -> ToolError { .notInstalled(name, among: runners.keys) }
    }

    let context: ToolContext
    let state = Locked(State())
    private let gpus: GPUSampler?
    private let sampler = ToolUsageSampler()

    /// Creates a supervisor without tools.
    ///
    /// - Parameters:
    ///   - environment: The environment variables of the tools.
    ///   - logger: Gets the output of tools, line by line, with the metadata `tool` and `output` (`stdout`, `stderr`),
    ///     at the level `info`. Of lines over 8 KiB the middle is cut; beyond 1 000 lines or 1 MiB per second they are
    ///     dropped, and the log says how many. They may hold control characters.
    ///   - gpus: Knows which processes use GPUs, for ``ToolStatus/usage``: that of the node, which asks for it, or one of its
    ///     own. `nil` leaves that out.
    ///   - logs: Keeps the output of tools in files; `nil` for not at all.
    ///   - clock: Measures the delays before restarts and how long tools ran; for tests.
    ///   - schedules: When tools with schedules were last due; the default knows nothing beyond this supervisor.
    ///   - now: The time of day, for schedules; for tests.
    ///   - emit: Gets the events, in order for each tool. It is called on many threads and must not block.
    public init(
        environment: ToolEnvironment,
        logger: Logger,
        gpus: GPUSampler? = nil,
        logs: ToolLogs? = nil,
        clock: any Clock<Duration> = ContinuousClock(),
        schedules: ToolScheduleRecord = ToolScheduleRecord(),
        now: @escaping @Sendable () -> Timestamp = { .now },
        emit: @escaping @Sendable (any EventPayload) -> Void
    ) {
        self.gpus = gpus
        let memory = ToolMemoryMeter()
        context = ToolContext(
            environment: environment,
            logger: logger,
            clock: clock,
            now: now,
            schedules: schedules,
            memoryOf: { memory.residentBytes(of: $0) },
            emit: emit,
            logs: logs
        )
    }

    deinit {
        for runner in state.withLock({ $0.runners.values }) { runner.close() }
    }

    /// All installed tools, by name.
    public var tools: [ToolStatus] {
        let runners = state.withLock { Array($0.runners.values) }
        return withUsage(runners.filter { !$0.isRemoved }.map(\.status)).sorted { $0.name < $1.name }
    }

    /// One tool; `nil` when it is not installed.
    public func tool(named name: String) -> ToolStatus? {
        let runners = state.withLock { $0.runners }
        guard let status = runners[name]?.status else { return nil }
        guard status.family != nil else { return status }
        return withUsage(runners.values.map { $0.name == name ? status : $0.status }).first { $0.name == name }
    }

    /// The statuses with what the tools use.
    ///
    /// - Parameter statuses: those of all tools.
    private func withUsage(_ statuses: [ToolStatus]) -> [ToolStatus] {
        let programs = statuses.compactMap { status in
            status.family.map { (status.name, ToolUsageSampler.Program($0)) }
        }
        let sample = sampler.sample(Dictionary(programs) { first, _ in first })
        guard !sample.usage.isEmpty else { return statuses }
        let shares = gpus?.report.shares(sample.names) ?? [:]
        return statuses.map { status in
            var status = status
            status.usage = sample.usage[status.name]
            status.usage?.gpus = shares[status.name] ?? []
            return status
        }
    }

    /// The specification with which a tool was last installed or configured; `nil` when it is not installed.
    public func specification(of name: String) -> ToolSpecification? {
        state.withLock { $0.runners[name] }?.specification
    }

    /// Whether a tool is ready for those that come after it. One that is not installed is not.
    private func isReady(_ name: String) -> Bool { state.withLock { $0.runners[name] }?.isReady ?? false }

    /// The specifications of all tools, in order of their names. Unlike ``tools``, it does not look at processes.
    var specifications: [ToolSpecification] {
        state.withLock { Array($0.runners.values) }.filter { !$0.isRemoved }.map(\.specification)
            .sorted { $0.name < $1.name }
    }

    /// The states of all tools, in order of their names. Unlike ``tools``, it does not look at processes.
    package var states: [ToolStatus.State] {
        let runners = state.withLock { Array($0.runners.values) }.filter { !$0.isRemoved }
        return runners.map { ($0.name, $0.status.state) }.sorted { $0.0 < $1.0 }.map(\.1)
    }

    /// Installs a tool, and does not start it: `tool.installed`, then `tool.configured` when it has a configuration.
    ///
    /// - Throws: `invalidSpecification`, `alreadyInstalled`, `shutDown`.
    public func install(_ tool: ToolSpecification) async throws(ToolError) {
        try tool.validate()
        let context = context
        let runner = try state.withLock { state throws(ToolError) in
            if state.isShutDown { throw .shutDown(tool.name) }
            if state.runners[tool.name] != nil {
                let advice = "is installed already; update it, or choose another name"
                throw ToolError(.alreadyInstalled, tool: tool.name, advice)
            }
            let runner = ToolRunner(tool, context: context) { [weak self] in self?.isReady($0) ?? false }
            state.runners[tool.name] = runner
            return runner
        }
        context.revision.withLock { $0 += 1 }
        context.logs?.install(tool.name)
        var events: [any EventPayload] = [ToolInstalled(tool: tool.name, version: tool.version)]
        if !tool.configuration.isNull { events.append(configured(tool)) }
        await runner.announce(events)
    }

    /// Gives a tool another configuration: `tool.configured`, redacted by ``Redaction``. A running tool gets it at its
    /// next start.
    ///
    /// - Throws: `notInstalled`, `invalidSpecification`, `shutDown`.
    public func configure(_ name: String, _ configuration: EventData) async throws(ToolError) {
        try await withRunner(name) { runner throws(ToolError) in
            var tool = runner.specification
            tool.configuration = configuration
            try tool.validate()
            runner.change { $0.configuration = configuration }
            await runner.announce([configured(tool)])
        }
    }

    /// Starts a tool: `tool.started`. Does nothing when it runs. One that waits for its restart, for its schedule or for
    /// other tools is started at once.
    ///
    /// - Throws: `notInstalled`, `shutDown`; `commandNotFound`, `notExecutable`, `directoryNotFound` or `launchFailed`,
    ///   after a `tool.crashed` and without a retry.
    public func start(_ name: String) async throws(ToolError) {
        try await withRunner(name) { runner throws(ToolError) in
            runner.note(isStoppedOnRequest: false)
            try await runner.start()
        }
    }

    /// Stops a tool with all processes that it started: its stop signal, then `SIGKILL` after its grace period, then
    /// `tool.stopped`. Does nothing when it does not run. Cancellation does not interrupt it. It stays down until the next
    /// ``start(_:)`` or ``restart(_:reason:)``: no changed manifest, no schedule and no tool that it waited for starts it.
    ///
    /// - Throws: `notInstalled`, `shutDown`.
    public func stop(_ name: String, reason: String = "stopped") async throws(ToolError) {
        try await withRunner(name) { runner throws(ToolError) in
            runner.note(isStoppedOnRequest: true)
            await runner.stop(reason: reason)
        }
    }

    /// Stops a tool when it runs, and starts it.
    ///
    /// - Throws: As ``start(_:)``.
    public func restart(_ name: String, reason: String = "restart") async throws(ToolError) {
        try await withRunner(name) { runner throws(ToolError) in
            runner.note(isStoppedOnRequest: false)
            await runner.stop(reason: reason)
            try await runner.start()
        }
    }

    /// Replaces a tool's specification: `tool.stopped` (`update`) when it ran, `tool.installed`, `tool.configured` when
    /// the configuration changed, and `tool.started` when it ran, or was down for another reason than a stop on request:
    /// when it had failed, say; not when it was never started. One with a schedule is not started before its next time.
    ///
    /// - Throws: `notInstalled`, `shutDown`; `invalidSpecification`, `commandNotFound`, `notExecutable` and
    ///   `directoryNotFound`, after which the tool runs on unchanged; `launchFailed`.
    public func update(_ tool: ToolSpecification) async throws(ToolError) {
        try tool.validate()
        try await withRunner(tool.name) { runner throws(ToolError) in
            guard try await replace(runner, by: tool, of: .request, Turn(tool.name)) else { return }
            guard tool.schedule == nil else { return try await runner.begin(after: []) }
            try await runner.start()
        }
    }

    /// Stops a tool when it runs, and gives it another specification.
    ///
    /// - Returns: whether it is to be started by it.
    /// - Throws: when its program is missing; then the tool runs on unchanged.
    func replace(
        _ runner: ToolRunner,
        by tool: ToolSpecification,
        of asker: ToolRunner.Asker,
        _ turn: Turn
    ) async throws(ToolError) -> Bool {
        let (before, isWanted) = (runner.specification, runner.isWanted(by: tool, of: asker))
        let isActive = runner.status.state.isActive
        if isActive {
            _ = try ToolExecutable.find(tool, variables: context.environment.variables(for: tool))
            await turn.beforeStop()
        }
        if isActive || runner.isWaiting { await runner.stop(reason: "update") }
        turn.hasStopped()
        runner.change { $0 = tool }
        var events: [any EventPayload] = [ToolInstalled(tool: tool.name, version: tool.version)]
        if tool.configuration != before.configuration { events.append(configured(tool)) }
        await runner.announce(events)
        return isWanted
    }

    /// Removes a tool: `tool.stopped` (`uninstall`) when it ran, then `tool.removed`.
    ///
    /// - Throws: `notInstalled`, `shutDown`.
    public func remove(_ name: String) async throws(ToolError) { try await remove(name, Turn(name)) }

    func remove(_ name: String, _ turn: Turn) async throws(ToolError) {
        let context = context
        try await withRunner(name) { runner throws(ToolError) in
            await turn.beforeStop()
            await runner.stop(reason: "uninstall")
            turn.hasStopped()
            context.schedules.note(name, nil)
            // Before the event: a list of tools that is made after it must not name the tool.
            runner.markRemoved()
            await runner.announce([ToolRemoved(tool: name)])
            context.logs?.remove(name)
            state.withLock { $0.runners[name] = nil }
            runner.close()
        }
    }

    /// Stops all tools, for good: `tool.stopped` for each that ran. Those that others depend on are stopped after these,
    /// all others at the same time. Returns when all their processes have ended and their events are emitted. Cancellation
    /// does not interrupt it.
    ///
    /// - Parameters:
    ///   - reason: what `tool.stopped` gives as the reason.
    ///   - grace: how long each tool may take to end after its stop signal; a tool's own grace period counts when shorter.
    public func shutdown(reason: String = "shutdown", grace: Duration = .seconds(10)) async {
        let runners = state.withLock { state in
            state.isShutDown = true
            return Array(state.runners.values)
        }
        // No tool that waits for others is started any more.
        context.watch.close()
        let order = StopOrder(runners.map(\.specification))
        await withTaskGroup { group in
            for runner in runners {
                let specification = runner.specification
                let grace = min(grace, specification.gracePeriod)
                group.addTask {
                    await order.waitForDependents(of: specification.name)
                    await runner.shutDown(reason: reason, grace: grace)
                    order.hasStopped(specification.name)
                }
            }
        }
    }

    /// The runner of a tool.
    ///
    /// - Throws: `notInstalled`, `shutDown`.
    func runner(of name: String) throws(ToolError) -> ToolRunner {
        try state.withLock { state throws(ToolError) in
            if state.isShutDown { throw .shutDown(name) }
            guard let runner = state.runners[name] else { throw state.notInstalled(name) }
            return runner
        }
    }

    func withRunner<Value>(
        _ name: String,
        _ body: (ToolRunner) async throws(ToolError) -> Value
    ) async throws(ToolError) -> Value {
        let runner = try runner(of: name)
        return try await runner.operations.withLock { () async throws(ToolError) in
            // The tool may have been removed meanwhile.
            guard state.withLock({ $0.runners[name] === runner }) else { throw .notInstalled(name) }
            return try await body(runner)
        }
    }

    func configured(_ tool: ToolSpecification) -> ToolConfigured {
        let redaction = tool.redaction(context.environment.available)
        return ToolConfigured(tool: tool.name, config: redaction.redact(tool.configuration))
    }
}

extension ToolSupervisor: Service {
    /// Waits for the graceful shutdown of its service group, or for cancellation, then stops all tools.
    public func run() async throws {
        try? await gracefulShutdown()
        await shutdown()
    }
}
