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

    private let tool: ToolSpecification
    private let context: ToolContext
    private let socket: NotifySocket?
    private let inbox = Awaitable(Inbox())
    private let work = Locked<Task<Void, Never>?>(nil)

    /// Prepares for a run; `nil` when nothing of the tool is watched.
    ///
    /// - Throws: `launchFailed` when its socket cannot be made.
    static func prepare(_ tool: ToolSpecification, _ context: ToolContext) throws(ToolError) -> ToolWatch? {
        guard tool.health.isWatched else { return nil }
        guard tool.health.usesNotifications else { return ToolWatch(tool, context, socket: nil) }
        do throws(ToolNoticeError) {
            return ToolWatch(tool, context, socket: try NotifySocket())
        } catch {
            throw ToolError(.launchFailed, tool: tool.name, "cannot be started: \(error.description)")
        }
    }

    private init(_ tool: ToolSpecification, _ context: ToolContext, socket: NotifySocket?) {
        self.tool = tool
        self.context = context
        self.socket = socket
    }

    /// The environment variables that the tool gets for it.
    ///
    /// `WATCHDOG_PID` is left out, as the protocol allows: any process of the tool may give the signs of life.
    var variables: [String: String] {
        guard let socket else { return [:] }
        var variables = ["NOTIFY_SOCKET": socket.path]
        variables["WATCHDOG_USEC"] = tool.health.watchdog.map { String(Int64(($0 / .microseconds(1)).rounded())) }
        return variables
    }

    /// The directory to remove when this process ends before the tool.
    var directory: String? { socket?.directory }

    /// Begins to watch the process that was started.
    ///
    /// - Parameters:
    ///   - wasUnhealthy: whether the run before ended as unhealthy.
    ///   - report: called with the actions that are not probes, in order.
    func begin(
        _ process: SupervisedProcess,
        wasUnhealthy: Bool,
        report: @escaping @Sendable (ToolHealthMachine.Action) -> Void
    ) {
        let machine = ToolHealthMachine(tool.health, grace: tool.gracePeriod, wasUnhealthy: wasUnhealthy)
        let strangers = SharedRateLimit(interval: .seconds(60))
        let (name, logger) = (tool.name, context.logger)
        socket?.begin(
            isKnown: { process.contains($0) },
            onStranger: { pid in
                strangers.admit { _ in
                    logger.warning(
                        "a notification is ignored: its sender is no process of the tool",
                        [.tool: "\(name)", .pid: "\(pid)"]
                    )
                }
            },
            receive: { [inbox] notice in inbox.update { $0.add { $0.notice.add(notice) } } }
        )
        // Not a child task: the run lasts longer than this call. Its owner calls end().
        let task = Task { await self.run(machine, report) }
        work.withLock { $0 = task }
    }

    /// Expects nothing of the tool any more: it was asked to end.
    func pause() { inbox.update { $0.add { $0.isOver = true } } }

    /// Ends all work, and waits for that: a probe that is under way is cancelled.
    func end() async {
        let task = work.withLock { $0.take() }
        task?.cancel()
        await task?.value
        await socket?.close()
    }

    private func run(_ machine: ToolHealthMachine, _ report: @Sendable (ToolHealthMachine.Action) -> Void) async {
        var machine = machine
        let elapsed = context.stopwatch()
        let prober = ToolProber(tool: tool, context: context)
        await withDiscardingTaskGroup { [inbox] group in
            var actions = machine.begin()
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
