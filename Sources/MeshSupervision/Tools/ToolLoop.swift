import Logging
import MeshConcurrency
import MeshEvents
import MeshLogging
import ProcessGuard

/// Handles the requests for one tool one by one, and performs the actions of its state machine.
struct ToolLoop {
    let name: String
    let context: ToolContext
    let output: ToolOutput
    let requests: AsyncStream<ToolRunner.Request>.Continuation
    let specification: @Sendable () -> ToolSpecification?
    let publish: @Sendable ((inout ToolStatus) -> Void) -> Void

    private var machine = ToolStateMachine()
    /// The present run; `nil` when it does not run.
    private var run: ToolRun?
    /// How many runs there were.
    private var runs = 0
    private var launchError: ToolError?
    /// The error of the last crash as it may be published.
    private var publishedError: String?
    /// The output of the last crash as it may be published.
    private var publishedOutput: [String] = []
    /// Waits until the process is to be started again.
    private var restart: Task<Void, Never>?
    private var stopWaiters: [OneShot<Void>] = []
    private var works = ToolWorks()
    private var isShutDown = false
    /// Whether it was said why the present start is put off.
    private var isDeferralSaid = false
    /// The start that waits for other tools.
    private var waiting: ToolWaiting
    /// What is said of the times at which it was due and still ran.
    private var overlaps = OverlapReport()
    /// The next start of a tool with a schedule; `nil` when it has none, or was stopped on request.
    private var plan: SchedulePlan?
    /// Waits until the tool is due.
    private var planned: Task<Void, Never>?
    /// The exit code of the last process, and how long it ran.
    private var lastRun: (code: Int?, time: Duration) = (nil, .zero)
    /// The time since the loop began.
    private let time: @Sendable () -> Duration

    init(
        name: String,
        context: ToolContext,
        output: ToolOutput,
        requests: AsyncStream<ToolRunner.Request>.Continuation,
        waiting: ToolWaiting,
        specification: @escaping @Sendable () -> ToolSpecification?,
        publish: @escaping @Sendable ((inout ToolStatus) -> Void) -> Void
    ) {
        self.name = name
        self.context = context
        self.output = output
        self.requests = requests
        self.waiting = waiting
        self.specification = specification
        self.publish = publish
        time = context.stopwatch()
    }

    /// Handles all requests until the stream ends, then kills the tool's processes.
    consuming func serve(_ stream: AsyncStream<ToolRunner.Request>) async {
        for await request in stream { await handle(request) }
        await waiting.end()
        for task in [restart, planned] { task?.cancel() }
        run?.process.kill()
        await run?.close()
        for task in [restart, planned] { await task?.value }
        for waiter in stopWaiters { waiter.fulfil(()) }
    }

    private mutating func handle(_ request: ToolRunner.Request) async {
        switch request {
        case .start(let answer):
            launchError = isShutDown ? .shutDown(name) : nil
            if !isShutDown {
                if plan == nil, hasSchedule {
                    // What was due before the request is not missed any more.
                    note(context.now())
                    await beginPlan()
                } else if plan != nil, !hasSchedule {
                    // It has lost its schedule before it was due.
                    await endPlan()
                }
                await perform(machine.start())
            }
            answer.fulfil(launchError)
        case .begin(let after, let answer):
            launchError = isShutDown ? .shutDown(name) : nil
            if !isShutDown { await begin(after) }
            answer.fulfil(launchError)
        case .waited(let number, let after):
            guard waiting.take(number), !isShutDown else { return }
            update()
            let missing = waiting.missing(after)
            if !missing.isEmpty {
                let names = missing.joined(separator: ", ")
                let time = ManifestDuration.text(after.within)
                context.logger.warning(
                    "started without \(names), which was not ready within \(time)",
                    [.tool: "\(name)"]
                )
            }
            await beginNow()
        case .stop(let reason, let grace, let answer):
            stopWaiters.append(answer)
            let hadPlan = plan != nil
            await waiting.end()
            await endPlan()
            if hadPlan, machine.isIdle {
                await perform(machine.paused(reason: reason))
            } else {
                await perform(machine.stop(reason: reason), grace: grace)
            }
        case .shutDown(let reason, let grace, let answer):
            isShutDown = true
            stopWaiters.append(answer)
            await waiting.end()
            await endPlan()
            await perform(machine.stop(reason: reason), grace: grace)
        case .announce(let events, let answer):
            for event in events { context.emit(event) }
            answer.fulfil(())
        case .ended(let number, let error, let code):
            guard var ended = run, ended.number == number else { return }
            noteLeftBehind(by: ended, hasFailed: error != nil)
            run = nil
            await ended.close()
            let found = works.ended(error)
            let uptime = ended.uptime()
            lastRun = (code, uptime)
            if let unsaid = overlaps.end() { skipped("overlap", unsaid) }
            await perform(
                machine.ended(
                    error: ended.excess ?? found,
                    uptime: uptime,
                    now: time(),
                    policy: policy,
                    hasSchedule: hasSchedule
                )
            )
        case .follow(let answer):
            if plan != nil { await beginPlan() }
            await measure()
            answer.fulfil(())
        case .due(let moment):
            await due(moment)
        case .usesTooMuch(let number, let error):
            guard let run, run.number == number, run.excess == nil else { return }
            self.run?.excess = error
            context.logger.warning("tool is ended: it \(error)", [.tool: "\(name)"])
            if specification()?.memory?.action == .kill {
                run.process.kill()
            } else {
                terminate(specification()?.gracePeriod ?? .zero)
            }
        case .restartDue:
            await perform(machine.restartDue())
        case .settingsChanged:
            await watchAnew()
        case .works(let number, let action):
            // What was found before it was asked to end, or has ended, is of no interest any more.
            if number == run?.number, machine.state == .running { follow(action) }
        case .signal(let signal, let answer):
            run?.process.signalProgram(signal.number)
            answer.fulfil(run != nil)
        }
        guard machine.isIdle else { return }
        for waiter in stopWaiters { waiter.fulfil(()) }
        stopWaiters = []
    }

    /// Says how many processes a program that ended by itself had left behind: a program that goes into the background looks
    /// as if it had ended for no reason.
    private func noteLeftBehind(by run: ToolRun, hasFailed: Bool) {
        let left = run.process.leftBehind
        guard machine.state == .running, !works.isEnding, run.excess == nil, left > 0 else { return }
        let what = left == 1 ? "a process" : "\(left) processes"
        let advice = hasFailed ? "" : "; a tool has to stay in the foreground"
        let text = "its program has ended, and with it \(what) that it had left running\(advice)"
        context.logger.warning("\(text)", [.tool: "\(name)"])
        output.note(text)
    }

    /// Removes secrets from reasons before they are published.
    private var redaction: Redaction { specification()?.redaction(context.environment.available) ?? Redaction() }

    private var policy: RestartPolicy { specification()?.restart ?? RestartPolicy(mode: .never) }

    private var hasSchedule: Bool { specification()?.schedule != nil }

    private mutating func perform(_ actions: [ToolStateMachine.Action], grace: Duration? = nil) async {
        for action in actions {
            // With the specification of the crash: a later one may no longer know the secrets in the error.
            switch action {
            case .crashed(let error, _, _), .finished(let error?), .deferred(let error):
                publishedError = redaction.redact(error)
                publishedOutput = output.crashLines(redaction)
            default: break
            }
            // Updates the status before the event: a receiver that then asks for the status sees the new one.
            update()
            switch action {
            case .launch:
                await launch()
            case .deferred(let error):
                // Once: it is tried again each few seconds.
                guard !isDeferralSaid else { break }
                isDeferralSaid = true
                context.logger.warning("tool not started yet: \(publishedError ?? "")", [.tool: "\(name)"])
                output.note("not started yet: \(error)")
            case .terminate:
                terminate(grace ?? specification()?.gracePeriod ?? .zero)
            case .schedule(let delay):
                schedule(after: delay)
            case .cancelSchedule:
                restart?.cancel()
            case .started:
                let pid = run?.process.pid ?? 0
                isDeferralSaid = false
                context.logger.info("tool started", [.tool: "\(name)", .pid: "\(pid)"])
                output.note("started, process \(pid)")
                context.emit(ToolStarted(tool: name, isReady: works.status.isReady == false ? false : nil))
            case .crashed(let error, let restartCount, let isRestarting):
                context.logger.warning("tool crashed: \(publishedError ?? "")", [.tool: "\(name)"])
                output.note("crashed: \(error)")
                context.emit(
                    ToolCrashed(
                        tool: name,
                        error: publishedError ?? "",
                        restartCount: restartCount,
                        output: publishedOutput,
                        isRestarting: isRestarting
                    )
                )
            case .stopped(let reason):
                works.forget()
                isDeferralSaid = false
                let published = redaction.redact(reason)
                context.logger.info("tool stopped: \(published)", [.tool: "\(name)"])
                output.note("stopped: \(reason)")
                context.emit(ToolStopped(tool: name, reason: published))
            case .gaveUp(let reason):
                works.forget()
                context.logger.warning("tool given up: \(reason)", [.tool: "\(name)"])
                output.note(reason)
                context.emit(ToolStopped(tool: name, reason: reason, failed: true, error: publishedError))
            case .finished(let error):
                works.forget()
                if error != nil {
                    context.logger.warning("run failed: \(publishedError ?? "")", [.tool: "\(name)"])
                } else {
                    context.logger.info("run finished", [.tool: "\(name)"])
                }
                output.note(error.map { "run failed: \($0)" } ?? "run finished")
                context.emit(
                    ToolFinished(
                        tool: name,
                        code: lastRun.code,
                        durationSeconds: lastRun.time / .seconds(1),
                        failed: error != nil,
                        error: error == nil ? nil : publishedError,
                        next: plan?.next,
                        output: error == nil ? [] : publishedOutput
                    )
                )
            }
        }
    }

    /// Copies the present state to the published status.
    private mutating func update() {
        let (machine, pid, family) = (machine, run?.process.pid, run?.process.family)
        let (health, next, waitsFor) = (works.status, plan?.next, waiting.names)
        if machine.lastError == nil { self.publishedError = nil }
        let publishedError = self.publishedError
        publish { status in
            if status.state != machine.state || status.pid != pid { status.since = .now }
            if status.pid != pid { status.runningSince = pid.map { _ in status.since } }
            status.state = machine.state
            status.pid = pid
            status.family = family
            status.restartCount = machine.restartCount
            status.lastError = machine.lastError
            status.publishedError = publishedError
            status.health = health
            status.next = next
            status.waitsFor = waitsFor
            status.hasSucceeded = machine.hasSucceeded
        }
    }

    private mutating func launch() async {
        // No other start is wanted any more.
        await waiting.end()
        do throws(ToolError) {
            guard let tool = specification() else { throw .notInstalled(name) }
            // First: for lack of descriptors, a user or a program may seem not to exist.
            do throws(LaunchError) {
                try await DescriptorReserve.wait()
            } catch {
                throw ToolError.launchFailed(tool.name, tool.command.first ?? "", error)
            }
            let receive = output.begin(tool, tool.redaction(context.environment.available))
            let watching = try ToolWatch.prepare(tool, context)
            let process = try await Self.launch(tool, context.environment, watching, output: receive)
            runs += 1
            run = ToolRun(runs, process, watching, context, requests)
            run?.watchHealth(tool, isReady: nil, isUnhealthy: works.isUnhealthy)
            works.launched(tool.health)
            await measure()
            await perform(machine.launched())
        } catch {
            // Redacted, because the error may be sent as the answer to another client's request.
            launchError = ToolError(error.code, tool: name, redaction.redact(error.message))
            if error.lacksDescriptors { return await perform(machine.launchDeferred(error.message)) }
            lastRun = (nil, .zero)
            await perform(
                machine.launchFailed(error.message, now: time(), policy: policy, hasSchedule: hasSchedule)
            )
        }
    }

    private static func launch(
        _ tool: ToolSpecification,
        _ environment: ToolEnvironment,
        _ watching: ToolWatch?,
        output: @escaping @Sendable ([ProcessOutput]) -> Void
    ) async throws(ToolError) -> SupervisedProcess {
        let settings = try tool.process.processSettings(tool.name)
        var limits = OutputLimits()
        limits.passesExcess = true
        limits.pause = .seconds(1)
        var variables = environment.variables(for: tool, as: settings.user)
        variables.merge(watching?.variables(for: tool) ?? [:]) { $1 }
        let command = SupervisedProcess.Command(
            executable: try ToolExecutable.find(tool, variables: variables),
            arguments: Array(tool.command.dropFirst()),
            environment: variables,
            directory: tool.directory,
            limits: limits,
            settings: settings
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

    /// Measures the memory of the process anew.
    private mutating func measure() async {
        let specification = specification
        await run?.measure(specification)
    }

    /// Watches the process by changed settings.
    private mutating func watchAnew() async {
        guard machine.state == .running, !works.isEnding, let tool = specification() else { return }
        await run?.watchAnew(tool, works)
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
        case .abort: run?.abort(tool.gracePeriod)
        case nil: break
        }
    }

    /// Stops the process without waiting: its end arrives as a request.
    private mutating func terminate(_ grace: Duration) {
        let signal = specification()?.stopSignal ?? .term
        run?.terminate(signal, grace)
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

    // MARK: Starts by its node

    /// Starts the tool when those that it comes after are ready, unless it runs or its starts are planned.
    private mutating func begin(_ after: ToolDependencies) async {
        if await waiting.end() { update() }
        if !hasSchedule, plan != nil { await endPlan() }
        let isDown = plan == nil && (machine.isIdle || machine.state == .backingOff)
        let missing = isDown ? waiting.missing(after) : []
        guard !missing.isEmpty else { return await beginNow() }
        context.logger.info("waits for \(missing.joined(separator: ", "))", [.tool: "\(name)"])
        waiting.begin(after) { [requests] in requests.yield(.waited($0, after)) }
        update()
    }

    /// Starts the tool, or plans its starts when it has a schedule.
    private mutating func beginNow() async {
        await beginPlan()
        if !hasSchedule { await perform(machine.start(retries: true)) }
    }

    // MARK: The schedule

    /// The longest sleep before the time of day is looked at again: it may be set meanwhile.
    private static let longestSleep: Duration = .seconds(60)

    /// Plans the next start by the schedule of the specification, and deals with what was missed.
    private mutating func beginPlan() async {
        guard !isShutDown, let schedule = specification()?.schedule else {
            if plan != nil { await endPlan() }
            return
        }
        let now = context.now()
        let last = context.schedules.last(name)
        let (plan, beginning) = SchedulePlan.begin(schedule, last: last, now: now)
        self.plan = plan
        switch beginning {
        case .wait:
            // From the first time on, it is known what was missed.
            if last == nil { note(now) }
        case .missed(let due):
            note(now)
            skipped("missed", OverlapReport.Times(first: due))
        case .start:
            return await due(plan.next ?? now, at: now)
        }
        update()
        await waitUntilDue()
    }

    /// Forgets the plan, because the tool was stopped on request or has no schedule any more.
    private mutating func endPlan() async {
        planned?.cancel()
        await planned?.value
        planned = nil
        plan = nil
        update()
    }

    /// The tool is due, unless its plan has changed since.
    private mutating func due(_ moment: Timestamp) async {
        guard plan?.next == moment, !isShutDown else { return }
        await due(moment, at: context.now())
    }

    private mutating func due(_ moment: Timestamp, at now: Timestamp) async {
        plan?.advance(now: now)
        note(max(moment, now))
        await waitUntilDue()
        guard machine.isIdle || machine.isDeferred else {
            update()
            if let times = overlaps.add(moment) { skipped("overlap", times) }
            return
        }
        await perform(machine.start())
    }

    private func note(_ moment: Timestamp) {
        let before = context.schedules.writeProblem
        context.schedules.note(name, moment)
        guard let problem = context.schedules.writeProblem, problem != before else { return }
        context.logger.warning("what this tool misses will not be known: \(problem)", [.tool: "\(name)"])
    }

    private func skipped(_ reason: String, _ times: OverlapReport.Times) {
        let why = reason == "overlap" ? "it still runs" : "this node did not run then"
        let more = times.count == 1 ? "" : ", and \(times.count - 1) more since"
        context.logger.warning("not started at \(times.first): \(why)\(more)", [.tool: "\(name)"])
        context.emit(
            ToolSkipped(tool: name, reason: reason, due: times.first, next: plan?.next, count: times.count)
        )
    }

    private mutating func waitUntilDue() async {
        planned?.cancel()
        await planned?.value
        planned = nil
        guard let next = plan?.next else { return }
        let (requests, context) = (requests, context)
        planned = Task {
            while true {
                let rest = next.duration(since: context.now())
                guard rest > .zero else {
                    requests.yield(.due(next))
                    return
                }
                guard (try? await context.clock.sleep(for: min(rest, Self.longestSleep))) != nil else { return }
            }
        }
    }
}
