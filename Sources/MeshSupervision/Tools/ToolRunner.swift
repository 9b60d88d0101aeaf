import Logging
import MeshConcurrency
import MeshEvents
import ProcessGuard

/// One installed tool. All requests and process ends pass one queue, so that its events are emitted in the right order.
final class ToolRunner: Sendable {
    /// A request, or the end of a process or delay.
    enum Request: Sendable {
        case start(OneShot<ToolError?>)
        /// Start it as its node does: after these tools, and at its times when it has a schedule. The answer is the error of
        /// a start that had not to wait.
        case begin(after: ToolDependencies, OneShot<ToolError?>)
        /// The tools are ready that a start waits for, or the time is up; with the number of the waiting.
        case waited(Int, ToolDependencies)
        case stop(reason: String, grace: Duration?, OneShot<Void>)
        /// Stop, and start no more.
        case shutDown(reason: String, grace: Duration, OneShot<Void>)
        /// Emit events about other changes, such as an installation.
        case announce([any EventPayload], OneShot<Void>)
        /// Process number `run` of the tool has ended.
        case ended(run: Int, error: String?, code: Int?)
        case restartDue
        /// Other settings count for whether the process works.
        case settingsChanged
        /// What follows for run number `run` from how it works.
        case works(run: Int, ToolHealthMachine.Action)
        /// Follow the present specification in what needs no restart: its schedule, when its starts are planned, and its
        /// limit of memory.
        case follow(OneShot<Void>)
        /// The time of the schedule has come.
        case due(Timestamp)
        /// Process number `run` uses too much memory.
        case usesTooMuch(run: Int, error: String)
        /// Send the program a signal; the answer is whether there is one.
        case signal(ToolSignal, OneShot<Bool>)
    }

    /// The values that supervisor and tool loop share.
    struct Shared: Sendable {
        var specification: ToolSpecification
        var status: ToolStatus
        /// Whether its removal is announced, or about to be.
        var isRemoved = false
        /// Whether it was stopped on request, and not started on request since.
        var isStoppedOnRequest = false
    }

    /// The tool's name.
    let name: String
    /// Runs one operation of the supervisor on the tool at a time.
    let operations = OperationLock()
    private let shared: Locked<Shared>
    private let requests: AsyncStream<Request>.Continuation
    private let output: ToolOutput
    private let isReadyTool: @Sendable (String) -> Bool
    private let revision: Locked<UInt64>

    /// - Parameters:
    ///   - specification: its specification.
    ///   - context: what it shares with other tools.
    ///   - isReadyTool: whether the tool of this name is ready for those that come after it.
    init(
        _ specification: ToolSpecification,
        context: ToolContext,
        isReadyTool: @escaping @Sendable (String) -> Bool
    ) {
        name = specification.name
        revision = context.revision
        self.isReadyTool = isReadyTool
        shared = Locked(
            Shared(
                specification: specification,
                status: ToolStatus(
                    name: specification.name,
                    version: specification.version,
                    state: .installed,
                    since: .now,
                    restartCount: 0,
                    lastOutput: []
                )
            )
        )
        output = ToolOutput(
            tool: specification.name,
            logger: context.logger,
            ring: context.logs?.ring(ofTool: specification.name)
        )
        let (stream, continuation) = AsyncStream<Request>.makeStream()
        requests = continuation
        let (name, output) = (specification.name, output)
        // Not kept: it ends with the requests, and who stops the tool waits for an answer. It holds no strong reference
        // to the runner, whose deinit finishes the requests.
        Task { [weak self] in
            let loop = ToolLoop(
                name: name,
                context: context,
                output: output,
                requests: continuation,
                waiting: ToolWaiting(context.watch, isReady: isReadyTool),
                specification: { [weak self] in self?.specification },
                publish: { [weak self] change in
                    self?.shared.withLock { change(&$0.status) }
                    context.watch.changed()
                }
            )
            await loop.serve(stream)
        }
    }

    deinit { requests.finish() }

    /// The specification that was last installed or configured.
    var specification: ToolSpecification { shared.withLock { $0.specification } }

    /// The tool's present status.
    var status: ToolStatus {
        var status = shared.withLock { shared in
            var status = shared.status
            status.version = shared.specification.version
            return status
        }
        status.lastOutput = output.lastLines
        // Not under the lock: others are asked.
        status.waitsFor.removeAll(where: isReadyTool)
        return status
    }

    /// Whether it is ready for those that come after it.
    var isReady: Bool { shared.withLock { !$0.isRemoved && $0.status.isReady(by: $0.specification) } }

    /// Whether its start waits for other tools.
    var isWaiting: Bool { shared.withLock { !$0.status.waitsFor.isEmpty } }

    /// Whether it was stopped on request, and not started on request since.
    var isStoppedOnRequest: Bool { shared.withLock { $0.isStoppedOnRequest } }

    /// Notes that it was stopped or started on request.
    func note(isStoppedOnRequest: Bool) { shared.withLock { $0.isStoppedOnRequest = isStoppedOnRequest } }

    /// Who gives a tool another specification.
    enum Asker {
        /// The manifest: what it lists is to run, unless it says otherwise.
        case manifest
        /// A request, or the program that has the supervisor: what was never started is not to be.
        case request
    }

    /// Whether it is to run, or to be started at its times, by a specification that it is about to get.
    ///
    /// What was stopped on request stays so. What is down for another reason is wanted: it waits, has failed or was given
    /// up, or was not started because the manifest did not want it; also what has done its work, when its policy wants it up
    /// always.
    func isWanted(by new: ToolSpecification, of asker: Asker) -> Bool {
        shared.withLock { shared in
            if shared.isStoppedOnRequest { return false }
            let status = shared.status
            if status.next != nil || !status.waitsFor.isEmpty { return true }
            return switch status.state {
            case .starting, .running, .stopping, .backingOff, .failed: true
            case .installed: asker == .manifest && (new.autostart || new.schedule != nil)
            case .stopped: new.restart.mode == .always || new.schedule != nil
            }
        }
    }

    /// Whether its removal is announced, or about to be.
    var isRemoved: Bool { shared.withLock { $0.isRemoved } }

    /// Notes that its removal is about to be announced.
    func markRemoved() { shared.withLock { $0.isRemoved = true } }

    /// Changes the specification; a process that runs is not touched.
    func change(_ body: (inout ToolSpecification) -> Void) {
        shared.withLock { body(&$0.specification) }
        revision.withLock { $0 += 1 }
    }

    /// Changes the specification; a process that runs is watched by it from now on, and not touched otherwise.
    func supervise(by specification: ToolSpecification) {
        let isChanged = shared.withLock { shared in
            defer { shared.specification = specification }
            return shared.specification.health != specification.health
        }
        revision.withLock { $0 += 1 }
        if isChanged { _ = send(.settingsChanged) }
    }

    /// Starts the tool; does nothing when it runs.
    func start() async throws(ToolError) {
        let answer = OneShot<ToolError?>()
        guard send(.start(answer)) else { throw .notInstalled(name) }
        if let error = await answer.uncancelled { throw error }
    }

    /// Starts the tool as its node does: after other tools, and at its times when it has a schedule. Does nothing when it runs.
    /// It returns at once when the start has to wait; the next request to start or stop the tool replaces that.
    ///
    /// - Throws: The error of a start that had not to wait. It counts as a crash: the restart policy decides what follows.
    func begin(after: ToolDependencies) async throws(ToolError) {
        let answer = OneShot<ToolError?>()
        guard send(.begin(after: after, answer)) else { throw .notInstalled(name) }
        if let error = await answer.uncancelled { throw error }
    }

    /// Stops the tool and waits until all its processes have ended; does nothing when it does not run.
    func stop(reason: String, grace: Duration? = nil) async {
        let answer = OneShot<Void>()
        if send(.stop(reason: reason, grace: grace, answer)) { await answer.uncancelled }
    }

    /// Stops the tool as ``stop(reason:grace:)`` does; it cannot be started again.
    func shutDown(reason: String, grace: Duration) async {
        let answer = OneShot<Void>()
        if send(.shutDown(reason: reason, grace: grace, answer)) { await answer.uncancelled }
    }

    /// Has the tool follow its specification in what needs no restart: its schedule, when its starts are planned, and its
    /// limit of memory.
    func follow() async {
        let answer = OneShot<Void>()
        if send(.follow(answer)) { await answer.uncancelled }
    }

    /// Sends the program a signal; `false` when there is no process.
    func signal(_ signal: ToolSignal) async -> Bool {
        let answer = OneShot<Bool>()
        return send(.signal(signal, answer)) ? await answer.uncancelled : false
    }

    /// Emits events, after those of earlier requests.
    func announce(_ events: [any EventPayload]) async {
        let answer = OneShot<Void>()
        if send(.announce(events, answer)) { await answer.uncancelled }
    }

    /// Forgets the tool. One that still runs is killed.
    func close() { requests.finish() }

    private func send(_ request: Request) -> Bool {
        if case .terminated = requests.yield(request) { return false }
        return true
    }
}

/// The environment, logger, clock and event sink that all tools of a supervisor share.
struct ToolContext: Sendable {
    let environment: ToolEnvironment
    let logger: Logger
    let clock: any Clock<Duration>
    /// The time of day.
    let now: @Sendable () -> Timestamp
    /// When tools with schedules were last due.
    let schedules: ToolScheduleRecord
    /// Wakes what waits for the state of a tool.
    let watch = StatusWatch()
    /// Goes up after each change of a tool's specification, and after each installation.
    let revision = Locked<UInt64>(0)
    /// The resident memory of a tool's processes, in bytes; `nil` when it is not known.
    let memoryOf: @Sendable (ProcessFamily) -> Int?
    let emit: @Sendable (any EventPayload) -> Void
    /// Keeps the output of tools; `nil` for not at all.
    var logs: ToolLogs?
    let probeSlots = ProbeSlots(32)

    /// Starts a stopwatch; the closure returns the time since this call.
    func stopwatch() -> @Sendable () -> Duration { Self.stopwatch(on: clock) }

    private static func stopwatch<C: Clock<Duration>>(on clock: C) -> @Sendable () -> Duration {
        let start = clock.now
        return { start.duration(to: clock.now) }
    }
}
