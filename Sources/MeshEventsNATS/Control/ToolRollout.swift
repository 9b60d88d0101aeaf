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
/// It ends at the first node that fails: what worked there before may not work on the others either.
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
        /// Whether to wait on each node until the tool is ready. A tool whose readiness is not watched counts as ready while
        /// it runs. Default true.
        public var waitsUntilReady: Bool
        /// How long the tool must have been ready without an interruption. A tool that crashes at once was running for a
        /// moment, too. Default 2 s.
        public var steadyFor: Duration
        /// How long a node may take, the wait included. Default 60 s.
        public var timeout: Duration
        /// Whether nodes are left alone after one has failed. Default true.
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
    }

    /// What came of it on all nodes.
    public struct Report: Sendable {
        /// A node that failed, and why.
        public struct Failure: Sendable {
            /// The node.
            public let node: String
            /// Why.
            public let error: MeshEventsError
        }

        /// The nodes on which it is done, in the order of their ends.
        public internal(set) var done: [ToolControlResult] = []
        /// The nodes on which it has failed.
        public internal(set) var failures: [Failure] = []
        /// The nodes that were not asked.
        public internal(set) var untouched: [String] = []

        /// Whether it is done on all nodes.
        public var isComplete: Bool { failures.isEmpty && untouched.isEmpty }
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
    /// - Parameter onStep: is called for each node when it is done or has failed.
    public func run(_ onStep: @Sendable (Step) async -> Void = { _ in }) async -> Report {
        var report = Report()
        var rest = nodes[...]
        await withTaskGroup(of: Step.self) { group in
            var underWay = 0
            while true {
                let isStopped = Task.isCancelled || configuration.stopsAtFailure && !report.failures.isEmpty
                while !isStopped, underWay < configuration.maximumAtOnce, let node = rest.popFirst() {
                    underWay += 1
                    group.addTask { await step(on: node) }
                }
                guard let step = await group.next() else { break }
                underWay -= 1
                switch step {
                case .done(let result): report.done.append(result)
                case .failed(let node, let error): report.failures.append(.init(node: node, error: error))
                }
                await onStep(step)
            }
        }
        report.untouched = Array(rest)
        return report
    }

    private func step(on node: String) async -> Step {
        let tools = RemoteTools(node: node, connection: connection, by: request.by)
        let deadline = ContinuousClock.now + configuration.timeout
        do throws(MeshEventsError) {
            let result = try await tools.send(request, timeout: configuration.timeout)
            guard configuration.waitsUntilReady, request.action.leavesItRunning else { return .done(result) }
            return .done(try await ready(result, tools, until: deadline))
        } catch {
            return .failed(node: node, error: error)
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
        // An older node does not say how a tool is: that it runs has to do.
        if first.isReady == nil, first.state == "running" { return first }
        // One that did not run before stays as it is.
        if request.action == .upgrade, ["installed", "stopped"].contains(first.state) { return first }
        var (last, steadySince) = (first, first.isSteady ? ContinuousClock.now : nil)
        while true {
            if let since = steadySince, .now - since >= configuration.steadyFor { return last }
            guard last.mayBecomeReady else { throw failure(last, "does not run any more") }
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
                guard error.isRetriable || error.code == .noResponders || error.code == .timeout else { throw error }
                steadySince = nil
                guard ContinuousClock.now + Self.pause < deadline else {
                    throw failure(last, "is not known to be ready: its node does not answer")
                }
                continue
            }
            // Another process began anew, even when both were found ready.
            if !next.isSteady || next.pid != last.pid { steadySince = nil }
            if next.isSteady, steadySince == nil { steadySince = .now }
            last = next
            last.otherAnswers = first.otherAnswers
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

extension ToolControlResult {
    fileprivate var isSteady: Bool { state == "running" && isReady != false }

    /// Whether it runs, or is about to.
    fileprivate var mayBecomeReady: Bool { ["starting", "running", "backing_off", "stopping"].contains(state) }
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
