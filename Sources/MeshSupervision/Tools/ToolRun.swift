import ProcessGuard

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// One run of a tool: its process, the tasks that watch and end it, and why it is being ended. What is found arrives at the
/// tool's loop, which owns the run, as requests.
struct ToolRun {
    /// Which run of the tool it is: what is found of an earlier one does not count.
    let number: Int
    let process: SupervisedProcess
    /// The time since it began.
    let uptime: @Sendable () -> Duration
    /// Why it is being ended; `nil` when it does not use too much memory.
    var excess: String?

    private let context: ToolContext
    private let requests: AsyncStream<ToolRunner.Request>.Continuation
    /// Waits for the end of the process.
    private let end: Task<Void, Never>
    /// End the process: one for each time that it was asked to.
    private var endings: [Task<Void, Never>] = []
    /// Watches whether the process works; `nil` when nothing of it is watched.
    private var watch: ToolWatch?
    /// Measures the memory of the process.
    private var measuring: Task<Void, Never>?

    /// Begins to wait for the end of a process.
    init(
        _ number: Int,
        _ process: SupervisedProcess,
        _ watch: ToolWatch?,
        _ context: ToolContext,
        _ requests: AsyncStream<ToolRunner.Request>.Continuation
    ) {
        self.number = number
        self.process = process
        self.watch = watch
        self.context = context
        self.requests = requests
        uptime = context.stopwatch()
        end = Task {
            let end = await process.waitForEnd()
            let error = ToolEnding.error(end, hasLostGuard: process.hasLostGuard)
            requests.yield(.ended(run: number, error: error, code: ToolEnding.code(end)))
        }
    }

    // MARK: Whether it works

    /// Begins to watch whether the process works.
    ///
    /// - Parameters:
    ///   - tool: its settings.
    ///   - isReady: whether it has shown that it is ready; `nil` for a run that begins.
    ///   - isUnhealthy: whether it is unhealthy, or the run before ended so.
    func watchHealth(_ tool: ToolSpecification, isReady: Bool?, isUnhealthy: Bool) {
        let (requests, number) = (requests, number)
        let beginning = ToolWatch.Beginning(isReady: isReady, isUnhealthy: isUnhealthy, elapsed: uptime)
        watch?.begin(process, tool, beginning) { requests.yield(.works(run: number, $0)) }
    }

    /// Watches the process by changed settings.
    ///
    /// - Parameters:
    ///   - tool: its settings.
    ///   - works: what is known of whether it works.
    mutating func watchAnew(_ tool: ToolSpecification, _ works: ToolWorks) async {
        await watch?.endWork()
        watch = watch ?? ToolWatch(context)
        // Of one that nothing watched it is not known that it still starts.
        watchHealth(tool, isReady: works.status.isReady ?? true, isUnhealthy: works.isUnhealthy)
    }

    // MARK: Memory

    /// Measures the memory of the process every second, when it has a limit.
    mutating func measure(_ specification: @escaping @Sendable () -> ToolSpecification?) async {
        await endMeasuring()
        guard specification()?.memory != nil else { return }
        let (requests, number, context, process) = (requests, number, context, process)
        measuring = Task {
            while (try? await context.clock.sleep(for: .seconds(1))) != nil, process.end == nil {
                guard let limit = specification()?.memory, let used = context.memoryOf(process.family) else { continue }
                guard used > limit.maximum else { continue }
                requests.yield(.usesTooMuch(run: number, error: limit.error(used: used)))
                return
            }
        }
    }

    private mutating func endMeasuring() async {
        measuring?.cancel()
        await measuring?.value
        measuring = nil
    }

    // MARK: Its end

    /// Stops the process without waiting.
    mutating func terminate(_ signal: StopSignal, _ grace: Duration) {
        watch?.pause()
        let (process, request) = (process, signal.number)
        endings.append(Task { _ = await process.stop(request: request, grace: grace) })
    }

    /// Has the program end by SIGABRT, and kills it when it does not within the grace time; does not wait.
    mutating func abort(_ grace: Duration) {
        let process = process
        endings.append(
            Task {
                process.signalProgram(SIGABRT)
                // A stopped process takes the signal only when it goes on.
                process.signalProgram(SIGCONT)
                if (try? await process.waitForEndUnlessCancelled(atMost: grace)) == nil { process.kill() }
                _ = await process.waitForEnd()
            }
        )
    }

    /// Waits for the end of the process, which has ended or was killed, and ends what watches it.
    mutating func close() async {
        await endMeasuring()
        await end.value
        for ending in endings { await ending.value }
        await watch?.end()
    }
}
