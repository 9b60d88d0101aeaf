import Logging
import MeshConcurrency
import MeshEvents
import MeshLogging
import ProcessGuard

/// Watches whether one run of a tool works: runs its probes, reads what it says, and keeps its times.
///
/// All its work is in one task, which ``end()`` cancels and waits for, and in the thread of its socket.
final class ToolWatch: Sendable {
    /// What has happened since the last step.
    private struct Inbox: AwaitableState {
        var inputs: ToolHealthMachine.Inputs?

        mutating func takeAnswer() -> ToolHealthMachine.Inputs? { inputs.take() }

        mutating func add(_ change: (inout ToolHealthMachine.Inputs) -> Void) {
            var inputs = inputs ?? .init()
            change(&inputs)
            self.inputs = inputs
        }
    }

    private let context: ToolContext
    private let socket: NotifySocket?
    private let inbox = Awaitable(Inbox())
    private let work = Locked<Task<Void, Never>?>(nil)

    /// Prepares for a run; `nil` when nothing of the tool is watched.
    ///
    /// - Throws: `launchFailed` when its socket cannot be made.
    static func prepare(_ tool: ToolSpecification, _ context: ToolContext) throws(ToolError) -> ToolWatch? {
        guard tool.health.isWatched else { return nil }
        guard tool.health.usesNotifications else { return ToolWatch(context) }
        let user = try tool.process.processSettings(tool.name).user
        let group = user.flatMap { $0.isCurrent ? nil : $0.group }
        do throws(ToolNoticeError) {
            return ToolWatch(context, socket: try NotifySocket(group: group))
        } catch {
            throw ToolError(.launchFailed, tool: tool.name, "cannot be started: \(error.description)")
        }
    }

    /// Prepares for a process that runs.
    init(_ context: ToolContext, socket: NotifySocket? = nil) {
        self.context = context
        self.socket = socket
    }

    /// The environment variables that the tool gets for it.
    ///
    /// `WATCHDOG_PID` is left out, as the protocol allows: any process of the tool may give the signs of life.
    func variables(for tool: ToolSpecification) -> [String: String] {
        guard let socket else { return [:] }
        var variables = ["NOTIFY_SOCKET": socket.path]
        variables["WATCHDOG_USEC"] = tool.health.watchdog.map { String(Int64(($0 / .microseconds(1)).rounded())) }
        return variables
    }

    /// The directory to remove when this process ends before the tool.
    var directory: String? { socket?.directory }

    /// What is known of a run when watching begins.
    struct Beginning: Sendable {
        /// Whether the tool has shown that it is ready; `nil` for a run that begins.
        var isReady: Bool?
        /// Whether it is unhealthy, or the run before ended as unhealthy.
        var isUnhealthy: Bool
        /// How long the run has lasted.
        var elapsed: @Sendable () -> Duration
    }

    /// Begins to watch a process, or to watch it by other settings.
    ///
    /// - Parameters:
    ///   - tool: its settings. What it would have to say counts only if it was started with a socket.
    ///   - report: called with the actions that are not probes, in order.
    func begin(
        _ process: SupervisedProcess,
        _ tool: ToolSpecification,
        _ beginning: Beginning,
        report: @escaping @Sendable (ToolHealthMachine.Action) -> Void
    ) {
        var health = tool.health
        if socket == nil {
            health.watchdog = nil
            if health.readiness == .notified { health.readiness = nil }
        }
        let machine = ToolHealthMachine(health, grace: tool.gracePeriod, wasUnhealthy: beginning.isUnhealthy)
        listen(to: process, tool.name)
        let prober = ToolProber(tool: tool, context: context)
        // Not a child task: the run lasts longer than this call. Its owner calls pause() and end().
        let task = Task { await self.run(machine, prober, beginning, report) }
        work.withLock { $0 = task }
    }

    private func listen(to process: SupervisedProcess, _ name: String) {
        let strangers = SharedRateLimit(interval: .seconds(60))
        let logger = context.logger
        socket?.begin(
            isKnown: { process.contains($0) },
            onStranger: { pid in
                // At its end, what its processes have sent last is read when they are gone.
                guard !process.isOver else { return }
                strangers.admit { _ in
                    logger.warning(
                        "a notification is ignored: its sender is no process of the tool, or has ended before it was heard",
                        [.tool: "\(name)", .pid: "\(pid)"]
                    )
                }
            },
            receive: { [inbox] notice in inbox.update { $0.add { $0.notice.add(notice) } } }
        )
    }

    /// Expects nothing of the tool any more: it was asked to end.
    func pause() { inbox.update { $0.add { $0.isOver = true } } }

    /// Ends the work for the present settings, and waits for that: a probe that is under way is cancelled.
    func endWork() async {
        let task = work.withLock { $0.take() }
        task?.cancel()
        await task?.value
    }

    /// Ends all work, and waits for that.
    func end() async {
        await endWork()
        await socket?.close()
    }

    private func run(
        _ machine: ToolHealthMachine,
        _ prober: ToolProber,
        _ beginning: Beginning,
        _ report: @Sendable (ToolHealthMachine.Action) -> Void
    ) async {
        var machine = machine
        let elapsed = beginning.elapsed
        // The result of a probe of former settings.
        inbox.update { $0.inputs?.result = nil }
        await withDiscardingTaskGroup { [inbox] group in
            var actions = machine.begin(at: beginning.isReady == nil ? .zero : elapsed(), isReady: beginning.isReady)
            while true {
                for action in actions {
                    guard case .probe(let probe) = action else {
                        report(action)
                        continue
                    }
                    group.addTask {
                        let result = await prober.run(probe)
                        inbox.update { $0.add { $0.result = result } }
                    }
                }
                guard let inputs = await next(until: machine.deadline, elapsed) else { break }
                actions = machine.step(inputs, at: elapsed())
            }
            group.cancelAll()
        }
    }

    /// Waits for what happens, until a time of the run; `nil` when the task is cancelled.
    private func next(
        until deadline: Duration?,
        _ elapsed: @escaping @Sendable () -> Duration
    ) async -> ToolHealthMachine.Inputs? {
        guard let deadline else { return await inbox.next() }
        let inputs = await withTaskGroup(of: ToolHealthMachine.Inputs?.self) { [inbox, clock = context.clock] group in
            group.addTask { await inbox.next() }
            group.addTask {
                try? await clock.sleep(for: max(.zero, deadline - elapsed()))
                return nil
            }
            var inputs = await group.next() ?? nil
            group.cancelAll()
            // The other may have taken something, too.
            if inputs == nil { inputs = await group.next() ?? nil }
            return inputs
        }
        return Task.isCancelled ? nil : inputs ?? .init()
    }
}
