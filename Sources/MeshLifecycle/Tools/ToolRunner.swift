import Locking
import Logging
import MeshEvents
import ProcessGuard

/// One installed tool. All that happens to it passes one queue, so that its events go out in the order of the facts.
final class ToolRunner: Sendable {
    /// Something that happens to the tool.
    enum Request: Sendable {
        case start(OneShot<ToolError?>)
        case stop(reason: String, grace: Duration?, OneShot<Void>)
        /// Stop, and start no more.
        case shutDown(reason: String, grace: Duration, OneShot<Void>)
        /// Events of what was done to it otherwise.
        case announce([any EventPayload], OneShot<Void>)
        /// Its process number `run` has ended.
        case ended(run: Int, error: String?)
        case restartDue
    }

    /// What supervisor and tool share.
    struct Shared: Sendable {
        var specification: ToolSpecification
        var status: ToolStatus
    }

    /// Lets one operation of the supervisor work on the tool at a time.
    let operations = OperationLock()
    private let shared: Locked<Shared>
    private let requests: AsyncStream<Request>.Continuation
    private let output: ToolOutput

    init(_ specification: ToolSpecification, context: ToolContext) {
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
        output = ToolOutput(tool: specification.name, logger: context.logger)
        let (stream, continuation) = AsyncStream<Request>.makeStream()
        requests = continuation
        let (name, output) = (specification.name, output)
        // Ends with the requests. It holds no reference to the runner: that one's end is to be the requests' end.
        Task { [weak self] in
            let loop = ToolLoop(
                name: name,
                context: context,
                output: output,
                requests: continuation,
                specification: { [weak self] in self?.specification },
                publish: { [weak self] change in self?.shared.withLock { change(&$0.status) } }
            )
            await loop.serve(stream)
        }
    }

    deinit { requests.finish() }

    /// What it was installed or configured with last.
    var specification: ToolSpecification { shared.withLock { $0.specification } }

    /// How it is.
    var status: ToolStatus {
        var status = shared.withLock { shared in
            var status = shared.status
            status.version = shared.specification.version
            return status
        }
        status.lastOutput = output.lastLines
        return status
    }

    /// Changes the specification; a process that runs is not touched.
    func change(_ body: (inout ToolSpecification) -> Void) { shared.withLock { body(&$0.specification) } }

    /// Starts the tool; does nothing when it runs.
    func start() async throws(ToolError) {
        let answer = OneShot<ToolError?>()
        guard send(.start(answer)) else { throw .notInstalled(status.name) }
        if let error = await answer.uncancelled { throw error }
    }

    /// Stops the tool and waits until nothing of it is left; does nothing when it does not run.
    func stop(reason: String, grace: Duration? = nil) async {
        let answer = OneShot<Void>()
        if send(.stop(reason: reason, grace: grace, answer)) { await answer.uncancelled }
    }

    /// The same, for good.
    func shutDown(reason: String, grace: Duration) async {
        let answer = OneShot<Void>()
        if send(.shutDown(reason: reason, grace: grace, answer)) { await answer.uncancelled }
    }

    /// Emits events, after those of what happened before.
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
