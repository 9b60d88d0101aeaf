import MeshConcurrency
public import MeshEvents
public import NATSClient

/// Does the same with a tool on several nodes, one after the other: a rolling restart.
///
/// ```swift
/// let rollout = ToolRollout(.restart("whisper"), on: ["gpu-1", "gpu-2"], connection: transport.connection)
/// let report = await rollout.run { print($0) }
/// if let failure = report.failures.first { throw failure.error }
/// ```
///
/// It ends at the first node that fails: what worked there before may not work on the others either. A node that does not
/// answer before anything is changed is skipped: what is dead already says nothing about what is rolled out.
public struct ToolRollout: Sendable {
    /// What to do.
    public let request: ToolRequest
    /// The nodes, in their order.
    public let nodes: [String]
    /// The limits of a rollout.
    public let configuration: Configuration
    private let connection: NATSConnection

    /// How a rollout goes about it.
    public struct Configuration: Sendable, Hashable {
        /// How many nodes are worked on at a time, from 1. Default 1.
        public var maximumAtOnce: Int
        /// Whether to wait on each node until the tool is ready: until it has passed its health check once, when it has one and
        /// shows in no other way that it is ready. A tool of which nothing is watched counts as ready while it runs. Default
        /// true.
        public var waitsUntilReady: Bool
        /// How long the tool must have been ready without an interruption. A tool that crashes at once was running for a
        /// moment, too. Default 2 s.
        public var steadyFor: Duration
        /// How long a node may take, the wait included. Default 60 s.
        public var timeout: Duration
        /// Whether nodes are left alone after one has failed, and those of several skipped that do not answer at the beginning.
        /// Otherwise each is asked, and one that does not answer has failed. Default true.
        public var stopsAtFailure: Bool

        /// Creates a configuration.
        public init(
            maximumAtOnce: Int = 1,
            waitsUntilReady: Bool = true,
            steadyFor: Duration = .seconds(2),
            timeout: Duration = .seconds(60),
            stopsAtFailure: Bool = true
        ) {
            self.maximumAtOnce = max(1, maximumAtOnce)
            self.waitsUntilReady = waitsUntilReady
            self.steadyFor = max(.zero, steadyFor)
            self.timeout = timeout
            self.stopsAtFailure = stopsAtFailure
        }
    }

    /// What came of it on a node.
    public enum Step: Sendable {
        /// It is done.
        case done(ToolControlResult)
        /// It has failed.
        case failed(node: String, error: MeshEventsError)
        /// The node was not asked, because it did not answer at the beginning.
        case skipped(node: String, error: MeshEventsError)
        /// After it was done, it turned out that other nodes of that name have answered as well.
        case nameIsShared(ToolControlResult)
    }

    /// What came of it on all nodes.
    public struct Report: Sendable {
        /// A node that failed or was skipped, and why.
        public struct Failure: Sendable {
            /// The node.
            public let node: String
            /// Why.
            public let error: MeshEventsError
            /// How the tool is there at the end, its version included; `nil` when the node does not say it, for one that was
            /// skipped, and when there was only one node.
            public internal(set) var result: ToolControlResult?
        }

        /// The nodes on which it is done, in the order of their ends.
        public internal(set) var done: [ToolControlResult] = []
        /// The nodes on which it has failed.
        public internal(set) var failures: [Failure] = []
        /// The nodes that were skipped, because they did not answer at the beginning.
        public internal(set) var skipped: [Failure] = []
        /// The nodes that were not asked, because one before them failed or the task was cancelled.
        public internal(set) var untouched: [String] = []

        /// Whether it is done on all nodes.
        public var isComplete: Bool { failures.isEmpty && skipped.isEmpty && untouched.isEmpty }
    }

    /// Plans a rollout; nothing is sent yet.
    ///
    /// - Parameters:
    ///   - request: what to do with the tool.
    ///   - nodes: the nodes, in the order in which they are asked.
    ///   - connection: the connection to the mesh.
    ///   - configuration: how to go about it.
    public init(
        _ request: ToolRequest,
        on nodes: [String],
        connection: NATSConnection,
        configuration: Configuration = Configuration()
    ) {
        self.request = request
        self.nodes = nodes
        self.connection = connection
        self.configuration = configuration
    }

    /// Does it. When the task is cancelled, no other node is asked.
    ///
    /// - Parameter onStep: is called for each node when it is done, has failed or is skipped, by one task at a time.
    public func run(_ onStep: @escaping @Sendable (Step) async -> Void = { _ in }) async -> Report {
        var report = Report()
        report.skipped = await unanswering()
        let steps = OperationLock()
        for node in report.skipped { await onStep(.skipped(node: node.node, error: node.error)) }
        let skipped = Set(report.skipped.map(\.node))
        var rest = nodes.filter { !skipped.contains($0) }[...]
        await withTaskGroup(of: Step.self) { group in
            var underWay = 0
            while true {
                let isStopped = Task.isCancelled || configuration.stopsAtFailure && !report.failures.isEmpty
                while !isStopped, underWay < configuration.maximumAtOnce, let node = rest.popFirst() {
                    underWay += 1
                    group.addTask {
                        await step(on: node) { step in await steps.withLock { await onStep(step) } }
                    }
                }
                guard let step = await group.next() else { break }
                underWay -= 1
                switch step {
                case .done(let result): report.done.append(result)
                case .failed(let node, let error): report.failures.append(.init(node: node, error: error))
                case .skipped, .nameIsShared: break
                }
            }
        }
        report.untouched = Array(rest)
        for (node, result) in await states(on: report.failures.map(\.node)) {
            for index in report.failures.indices where report.failures[index].node == node {
                report.failures[index].result = result
            }
        }
        return report
    }

    /// The longest wait for an answer at the beginning: what a node has to do for it is next to nothing.
    private static let patience: Duration = .seconds(10)

    /// The nodes that do not answer now, in their order; none when there is only one, or each is to be asked.
    private func unanswering() async -> [Report.Failure] {
        guard configuration.stopsAtFailure, nodes.count > 1 else { return [] }
        let patience = min(configuration.timeout, Self.patience)
        let errors = await withTaskGroup(of: Report.Failure?.self) { group in
            for node in Set(nodes) {
                group.addTask {
                    do throws(MeshEventsError) {
                        let tools = RemoteTools(node: node, connection: connection, by: request.by)
                        _ = try await tools.status(of: request.tool, timeout: patience)
                        return nil
                    } catch {
                        // A refusal is an answer, and so is that of an older node, which does not know the question. Other
                        // errors are not the node's: the request itself will meet them.
                        guard error.isSilence, !Task.isCancelled else { return nil }
                        return Report.Failure(node: node, error: error)
                    }
                }
            }
            return await group.reduce(into: [String: MeshEventsError]()) { errors, found in
                if let found { errors[found.node] = found.error }
            }
        }
        return nodes.compactMap { node in errors[node].map { Report.Failure(node: node, error: $0) } }
    }

    /// How the tool is on nodes that have failed: what was asked for may be done there all the same. Those that do not say it
    /// are left out.
    private func states(on failed: [String]) async -> [String: ToolControlResult] {
        guard nodes.count > 1, !Task.isCancelled else { return [:] }
        let patience = min(configuration.timeout, Self.patience)
        return await withTaskGroup(of: ToolControlResult?.self) { group in
            for node in Set(failed) {
                group.addTask {
                    let tools = RemoteTools(node: node, connection: connection, by: request.by)
                    return try? await tools.status(of: request.tool, timeout: patience)
                }
            }
            return await group.reduce(into: [:]) { states, result in
                if let result { states[result.node] = result }
            }
        }
    }

    /// Does it on a node.
    ///
    /// - Parameter tell: is told as soon as it is done: whether other nodes of that name answer is known a moment later.
    private func step(on node: String, _ tell: (Step) async -> Void) async -> Step {
        let tools = RemoteTools(node: node, connection: connection, by: request.by)
        let deadline = ContinuousClock.now + configuration.timeout
        // The nodes before may have taken long.
        var request = request
        request.time = .now
        var readiness: Result<ToolControlResult, MeshEventsError>?
        do throws(MeshEventsError) {
            var result = try await tools.send(request, timeout: configuration.timeout) { first in
                guard configuration.waitsUntilReady, self.request.action.leavesItRunning else {
                    return await tell(.done(first))
                }
                do throws(MeshEventsError) {
                    let ready = try await ready(first, tools, until: deadline)
                    readiness = .success(ready)
                    await tell(.done(ready))
                } catch {
                    readiness = .failure(error)
                }
            }
            let others = result.otherAnswers
            result = try readiness?.get() ?? result
            result.otherAnswers = others
            if others > 0 { await tell(.nameIsShared(result)) }
            return .done(result)
        } catch {
            let step = Step.failed(node: node, error: error)
            await tell(step)
            return step
        }
    }

    /// How often a node is asked how the tool is.
    private static let pause: Duration = .milliseconds(200)

    /// Waits until the tool has been ready for long enough.
    private func ready(
        _ first: ToolControlResult,
        _ tools: RemoteTools,
        until deadline: ContinuousClock.Instant
    ) async throws(MeshEventsError) -> ToolControlResult {
        // An older node says the state alone, and cannot be asked how a tool is: that it runs has to do.
        if first.version == nil, first.state == .running { return first }
        // One that did not run before stays as it is.
        if request.action == .upgrade, first.state == .installed || first.state == .stopped { return first }
        var (last, steadySince) = (first, first.readiness.suffices ? ContinuousClock.now : nil)
        while true {
            if let since = steadySince, .now - since >= configuration.steadyFor { return last }
            guard last.state.isActive else { throw failure(last, "does not run any more") }
            guard ContinuousClock.now + Self.pause < deadline else {
                throw failure(last, "is not ready within \(configuration.timeout)")
            }
            do {
                try await Task.sleep(for: Self.pause)
            } catch {
                throw MeshEventsError(.closed, "the wait for \(request.tool) on \(tools.node) was cancelled")
            }
            let next: ToolControlResult
            do throws(MeshEventsError) {
                next = try await tools.status(of: request.tool, timeout: max(deadline - .now, Self.pause))
            } catch {
                // Its link is cut for a moment: it is not known how the tool is, and the request was carried out.
                guard error.isRetriable || error.isSilence else { throw error }
                steadySince = nil
                guard ContinuousClock.now + Self.pause < deadline else {
                    throw failure(last, "is not known to be ready: its node does not answer")
                }
                continue
            }
            // Another process began anew, even when both were found ready.
            if !next.readiness.suffices || next.pid != last.pid { steadySince = nil }
            if next.readiness.suffices, steadySince == nil { steadySince = .now }
            last = next
        }
    }

    private func failure(_ result: ToolControlResult, _ what: String) -> MeshEventsError {
        let error = result.lastError.map { ", last error: \($0)" } ?? ""
        return MeshEventsError(
            .timeout,
            "tool \(result.tool) on node \(result.node) \(what): it is \(result.state)\(error)"
        )
    }
}

extension ToolAction {
    /// Whether the tool is to run afterwards.
    fileprivate var leavesItRunning: Bool {
        switch self {
        case .start, .restart, .reload, .install, .upgrade: true
        case .stop, .signal, .remove, .status: false
        }
    }
}

extension MeshEventsError {
    /// Whether it says that a node has not answered.
    fileprivate var isSilence: Bool { code == .noResponders || code == .timeout }
}

extension RemoteTools {
    /// Restarts a tool on several nodes, one after the other; see ``ToolRollout``.
    public static func rollingRestart(
        of tool: String,
        on nodes: [String],
        connection: NATSConnection,
        configuration: ToolRollout.Configuration = ToolRollout.Configuration()
    ) async -> ToolRollout.Report {
        await ToolRollout(.restart(tool), on: nodes, connection: connection, configuration: configuration).run()
    }
}
