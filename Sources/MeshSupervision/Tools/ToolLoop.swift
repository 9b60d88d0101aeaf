import Logging
import MeshConcurrency
import MeshEvents
import MeshLogging
import ProcessGuard

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Handles the requests for one tool one by one, and performs the actions of its state machine.
struct ToolLoop {
    let name: String
    let context: ToolContext
    let output: ToolOutput
    let requests: AsyncStream<ToolRunner.Request>.Continuation
    let specification: @Sendable () -> ToolSpecification?
    let publish: @Sendable ((inout ToolStatus) -> Void) -> Void

    private var machine = ToolStateMachine()
    private var process: SupervisedProcess?
    private var uptime: (@Sendable () -> Duration)?
    private var launchError: ToolError?
    /// The error of the last crash as it may be published.
    private var publishedError: String?
    /// The output of the last crash as it may be published.
    private var publishedOutput: [String] = []
    private var run = 0
    /// Waits until the process is to be started again.
    private var restart: Task<Void, Never>?
    /// Waits for the end of the process.
    private var watch: Task<Void, Never>?
    /// Stops the process.
    private var stopping: Task<Void, Never>?
    private var stopWaiters: [OneShot<Void>] = []
    /// Watches whether the process works; `nil` when nothing of it is watched.
    private var watching: ToolWatch?
    private var works = ToolWorks()
    private var isShutDown = false

    init(
        name: String,
        context: ToolContext,
        output: ToolOutput,
        requests: AsyncStream<ToolRunner.Request>.Continuation,
        specification: @escaping @Sendable () -> ToolSpecification?,
        publish: @escaping @Sendable ((inout ToolStatus) -> Void) -> Void
    ) {
        self.name = name
        self.context = context
        self.output = output
        self.requests = requests
        self.specification = specification
        self.publish = publish
    }

    /// Handles all requests until the stream ends, then kills the tool's processes.
    consuming func serve(_ stream: AsyncStream<ToolRunner.Request>) async {
        for await request in stream { await handle(request) }
        restart?.cancel()
        process?.kill()
        await watch?.value
        await stopping?.value
        await watching?.end()
        for waiter in stopWaiters { waiter.fulfil(()) }
    }

    private mutating func handle(_ request: ToolRunner.Request) async {
        switch request {
        case .start(let answer):
            launchError = isShutDown ? .shutDown(name) : nil
            if !isShutDown { await perform(machine.start()) }
            answer.fulfil(launchError)
        case .stop(let reason, let grace, let answer):
            stopWaiters.append(answer)
            await perform(machine.stop(reason: reason), grace: grace)
        case .shutDown(let reason, let grace, let answer):
            isShutDown = true
            stopWaiters.append(answer)
            await perform(machine.stop(reason: reason), grace: grace)
        case .announce(let events, let answer):
            for event in events { context.emit(event) }
            answer.fulfil(())
        case .ended(let run, let error):
            guard run == self.run else { return }
            process = nil
            await watching?.end()
            watching = nil
            let time = uptime?() ?? .zero
            await perform(machine.ended(error: works.ended(error), uptime: time, policy: policy))
        case .restartDue:
            await perform(machine.restartDue())
        case .settingsChanged:
            await watchAnew()
        case .works(let run, let action):
            // What was found before it was asked to end, or has ended, is of no interest any more.
            if run == self.run, process != nil, machine.state == .running { follow(action) }
        }
        guard machine.isIdle else { return }
        for waiter in stopWaiters { waiter.fulfil(()) }
        stopWaiters = []
    }

    /// Removes secrets from reasons before they are published.
    private var redaction: Redaction { specification()?.redaction(context.environment.available) ?? Redaction() }

    private var policy: RestartPolicy { specification()?.restart ?? RestartPolicy(mode: .never) }

    private mutating func perform(_ actions: [ToolStateMachine.Action], grace: Duration? = nil) async {
        for action in actions {
            // With the specification of the crash: a later one may no longer know the secrets in the error.
            if case .crashed(let error, _) = action {
                publishedError = redaction.redact(error)
                publishedOutput = output.crashLines(redaction)
            }
            // Updates the status before the event: a receiver that then asks for the status sees the new one.
            update()
            switch action {
            case .launch:
                await launch()
            case .terminate:
                terminate(grace ?? specification()?.gracePeriod ?? .zero)
            case .schedule(let delay):
                schedule(after: delay)
            case .cancelSchedule:
                restart?.cancel()
            case .started:
                context.logger.info("tool started", [.tool: "\(name)", .pid: "\(process?.pid ?? 0)"])
                output.note("started, process \(process?.pid ?? 0)")
                context.emit(ToolStarted(tool: name, isReady: works.status.isReady ? nil : false))
            case .crashed(let error, let restartCount):
                context.logger.warning("tool crashed: \(error)", [.tool: "\(name)"])
                output.note("crashed: \(error)")
                context.emit(
                    ToolCrashed(
                        tool: name,
                        error: publishedError ?? "",
                        restartCount: restartCount,
                        output: publishedOutput
                    )
                )
            case .stopped(let reason):
                works.forget()
                context.logger.info("tool stopped: \(reason)", [.tool: "\(name)"])
                output.note("stopped: \(reason)")
                context.emit(ToolStopped(tool: name, reason: redaction.redact(reason)))
            case .gaveUp(let reason):
                works.forget()
                context.logger.warning("tool given up: \(reason)", [.tool: "\(name)"])
                output.note(reason)
                context.emit(ToolStopped(tool: name, reason: reason, failed: true, error: publishedError))
            }
        }
    }

    /// Copies the present state to the published status.
    private mutating func update() {
        let (machine, pid, family, health) = (machine, process?.pid, process?.family, works.status)
        if machine.lastError == nil { self.publishedError = nil }
        let publishedError = self.publishedError
        publish { status in
            if status.state != machine.state || status.pid != pid { status.since = .now }
            status.state = machine.state
            status.pid = pid
            status.family = family
            status.restartCount = machine.restartCount
            status.lastError = machine.lastError
            status.publishedError = publishedError
            status.health = health
        }
    }

    private mutating func launch() async {
        do throws(ToolError) {
            guard let tool = specification() else { throw .notInstalled(name) }
            let receive = output.begin(tool, tool.redaction(context.environment.available))
            let watching = try ToolWatch.prepare(tool, context)
            let process = try await Self.launch(tool, context.environment, watching, output: receive)
            run += 1
            self.process = process
            uptime = context.stopwatch()
            watchEnd(of: process)
            self.watching = watching
            watchHealth(of: process, tool, isReady: nil)
            works.launched(tool.health)
            await perform(machine.launched())
        } catch {
            // Redacted, because the error may be sent as the answer to another client's request.
            launchError = ToolError(error.code, tool: name, redaction.redact(error.message))
            await perform(machine.launchFailed(error.message, policy: policy))
        }
    }

    private static func launch(
        _ tool: ToolSpecification,
        _ environment: ToolEnvironment,
        _ watching: ToolWatch?,
        output: @escaping @Sendable ([ProcessOutput]) -> Void
    ) async throws(ToolError) -> SupervisedProcess {
        let variables = environment.variables(for: tool).merging(watching?.variables(for: tool) ?? [:]) { $1 }
        var limits = OutputLimits()
        limits.passesExcess = true
        let command = SupervisedProcess.Command(
            executable: try ToolExecutable.find(tool, variables: variables),
            arguments: Array(tool.command.dropFirst()),
            environment: variables,
            directory: tool.directory,
            limits: limits
        )
        do {
            return try await SupervisedProcess.launchInBatches(
                command,
                removing: watching?.directory,
                output: output
            )
        } catch {
            throw ToolError.launchFailed(tool.name, command.executable, error)
        }
    }

    /// Waits for the end of the process, which arrives as a request. That of the process before has arrived.
    private mutating func watchEnd(of process: SupervisedProcess) {
        let (requests, run) = (requests, run)
        watch = Task {
            let end = await process.waitForEnd()
            requests.yield(.ended(run: run, error: ToolEnding.error(end, hasLostGuard: process.hasLostGuard)))
        }
    }

    /// Begins to watch whether the process works. What is found arrives as requests.
    private func watchHealth(of process: SupervisedProcess, _ tool: ToolSpecification, isReady: Bool?) {
        let (requests, run) = (requests, run)
        let beginning = ToolWatch.Beginning(
            isReady: isReady,
            isUnhealthy: works.isUnhealthy,
            elapsed: uptime ?? context.stopwatch()
        )
        watching?.begin(process, tool, beginning) { requests.yield(.works(run: run, $0)) }
    }

    /// Watches the process by changed settings.
    private mutating func watchAnew() async {
        guard let process, machine.state == .running, !works.isEnding, let tool = specification() else { return }
        await watching?.endWork()
        watching = watching ?? ToolWatch(context)
        watchHealth(of: process, tool, isReady: works.status.isReady)
    }

    /// Does what follows from how the process works.
    private mutating func follow(_ action: ToolHealthMachine.Action) {
        guard let tool = specification() else { return }
        let consequence = works.apply(
            action,
            of: name,
            tool.restart,
            tool.health.onUnhealthy,
            redaction,
            context.stopwatch
        )
        update()
        if let event = consequence.event {
            if let unhealthy = event as? ToolUnhealthy {
                context.logger.warning("tool unhealthy: \(unhealthy.reason)", [.tool: "\(name)"])
            } else {
                context.logger.info("tool \(event is ToolReady ? "ready" : "healthy")", [.tool: "\(name)"])
            }
            context.emit(event)
        }
        switch consequence.ending {
        case .terminate: terminate(tool.gracePeriod)
        case .abort: abort(tool.gracePeriod)
        case nil: break
        }
    }

    /// Has the program end by SIGABRT, and kills it when it does not within the grace time; does not wait.
    private mutating func abort(_ grace: Duration) {
        guard let process else { return }
        stopping = Task {
            process.signalProgram(SIGABRT)
            // A stopped process takes the signal only when it goes on.
            process.signalProgram(SIGCONT)
            if (try? await process.waitForEndUnlessCancelled(atMost: grace)) == nil { process.kill() }
            _ = await process.waitForEnd()
        }
    }

    /// Stops the process without waiting: its end arrives as a request.
    private mutating func terminate(_ grace: Duration) {
        guard let process else { return }
        watching?.pause()
        stopping = Task { _ = await process.stop(grace: grace) }
    }

    private mutating func schedule(after delay: Duration) {
        let (requests, clock) = (requests, context.clock)
        restart?.cancel()
        restart = Task {
            do {
                try await clock.sleep(for: delay)
                requests.yield(.restartDue)
            } catch {}
        }
    }
}
