import Logging
import MeshConcurrency
import MeshEvents
import ProcessGuard

/// One installed tool. All requests and process ends pass one queue, so that its events are emitted in the right order.
final class ToolRunner: Sendable {
    /// A request, or the end of a process or delay.
    enum Request: Sendable {
        case start(OneShot<ToolError?>)
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
        /// Follow the present specification in what needs no restart: its schedule and its limit of memory.
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
    }

    /// The tool's name.
    let name: String
    /// Runs one operation of the supervisor on the tool at a time.
    let operations = OperationLock()
    private let shared: Locked<Shared>
    private let requests: AsyncStream<Request>.Continuation
    private let output: ToolOutput

    init(_ specification: ToolSpecification, context: ToolContext) {
        name = specification.name
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
        return status
    }

    /// Whether its removal is announced, or about to be.
    var isRemoved: Bool { shared.withLock { $0.isRemoved } }

    /// Notes that its removal is about to be announced.
    func markRemoved() { shared.withLock { $0.isRemoved = true } }

    /// Changes the specification; a process that runs is not touched.
    func change(_ body: (inout ToolSpecification) -> Void) { shared.withLock { body(&$0.specification) } }

    /// Changes the specification; a process that runs is watched by it from now on, and not touched otherwise.
    func supervise(by specification: ToolSpecification) {
        let isChanged = shared.withLock { shared in
            defer { shared.specification = specification }
            return shared.specification.health != specification.health
        }
        if isChanged { _ = send(.settingsChanged) }
    }

    /// Starts the tool; does nothing when it runs.
    func start() async throws(ToolError) {
        let answer = OneShot<ToolError?>()
        guard send(.start(answer)) else { throw .notInstalled(status.name) }
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

    /// Has the tool follow its specification in what needs no restart; plans the next start of one with a schedule.
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
