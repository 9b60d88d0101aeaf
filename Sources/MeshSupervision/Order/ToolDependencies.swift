import MeshConcurrency

/// The tools after which a tool is started.
///
/// When a manifest is applied, the tool is started once those run and are ready (``ToolHealth/readiness``). One of them that
/// runs and ends is ready when it has ended with code 0: one with a schedule, and one that is never restarted and whose
/// ``ToolHealth`` asks for nothing. The tool is not stopped when one of them crashes, and a start on request does not wait.
/// When tools are stopped together, it is stopped before them.
public struct ToolDependencies: Sendable, Hashable, ExpressibleByArrayLiteral {
    /// The names of the tools.
    public var names: [String]
    /// How long it waits for them; then it is started without them, and the log says so. The default is 60 seconds.
    public var within: Duration

    /// Creates dependencies.
    public init(_ names: [String], within: Duration = .seconds(60)) {
        self.names = names
        self.within = within
    }

    /// Creates dependencies, with the default time.
    public init(arrayLiteral names: String...) { self.init(names) }
}

/// The order in which tools are started, and stopped in reverse.
struct StartOrder {
    /// The tools after those that they depend on, otherwise in the order that was given.
    private(set) var tools: [ToolSpecification] = []
    /// The names in the first circle that was found, each waiting for the following one; empty when there is none. What is
    /// in a circle has the order that was given.
    private(set) var circle: [String] = []

    private enum Mark { case open, done }

    init(_ specifications: [ToolSpecification]) {
        let byName = Dictionary(specifications.map { ($0.name, $0) }) { $1 }
        var marks: [String: Mark] = [:]
        for specification in specifications where marks[specification.name] == nil {
            visit(specification, byName, &marks)
        }
    }

    /// A depth-first search, without recursion: a chain is as long as a manifest.
    private mutating func visit(
        _ start: ToolSpecification,
        _ byName: [String: ToolSpecification],
        _ marks: inout [String: Mark]
    ) {
        var path: [(tool: ToolSpecification, next: Int)] = [(start, 0)]
        marks[start.name] = .open
        while let (tool, next) = path.last {
            guard next < tool.after.names.count else {
                marks[tool.name] = .done
                tools.append(tool)
                path.removeLast()
                continue
            }
            path[path.count - 1].next += 1
            let name = tool.after.names[next]
            guard let dependency = byName[name] else { continue }
            switch marks[name] {
            case .done: break
            case .open:
                if circle.isEmpty { circle = Array(path.map(\.tool.name).drop { $0 != name }) }
            case nil:
                marks[name] = .open
                path.append((dependency, 0))
            }
        }
    }

    /// The circle as text: `a waits for b, b waits for a`; `nil` when there is none.
    var problem: String? {
        guard let first = circle.first else { return nil }
        return zip(circle, circle.dropFirst() + [first]).map { "\($0) waits for \($1)" }.joined(separator: ", ")
    }

    /// The tools that wait for each tool, by its name.
    static func dependents(_ tools: [ToolSpecification]) -> [String: Set<String>] {
        var dependents: [String: Set<String>] = [:]
        for tool in tools {
            for name in tool.after.names { dependents[name, default: []].insert(tool.name) }
        }
        return dependents
    }
}

/// The tools that are being stopped: each waits for those that depend on it.
struct StopOrder: Sendable {
    private let dependents: [String: Set<String>]
    private let stopped: [String: OneTimeSignal]

    /// - Parameter tools: those that are stopped.
    init(_ tools: [ToolSpecification]) {
        // In a circle, which only a program can make, none waits.
        dependents = StartOrder(tools).circle.isEmpty ? StartOrder.dependents(tools) : [:]
        stopped = Dictionary(tools.map { ($0.name, OneTimeSignal()) }) { $1 }
    }

    /// Waits until the tools that depend on a tool have stopped.
    func waitForDependents(of name: String) async {
        await wait(for: Array(dependents[name] ?? []))
    }

    /// Waits until these tools have stopped.
    func wait(for names: [String]) async {
        for name in names { await stopped[name]?.uncancelled }
    }

    /// Notes that a tool has stopped, or that it runs on.
    func hasStopped(_ name: String) { stopped[name]?.send() }
}

/// When a tool may be stopped while several are changed.
struct Turn: Sendable {
    private let name: String
    private let stops: StopOrder

    /// - Parameters:
    ///   - name: the tool's name.
    ///   - stops: the tools that are stopped with it; none for a tool that is changed alone.
    init(_ name: String, _ stops: StopOrder = StopOrder([])) {
        self.name = name
        self.stops = stops
    }

    /// Waits until the tools that depend on it have stopped.
    func beforeStop() async { await stops.waitForDependents(of: name) }

    /// Notes that it has stopped, or that it runs on.
    func hasStopped() { stops.hasStopped(name) }
}

/// Wakes tasks that wait for the states of tools.
final class StatusWatch: Sendable {
    /// How waiting has ended.
    enum Outcome: Sendable, Hashable {
        /// The condition holds.
        case met
        /// The time is up.
        case late
        /// It is not wanted any more: the task is cancelled, or the watch is closed.
        case cancelled
    }

    private struct State {
        var last = 0
        var isClosed = false
        var wakes: [Int: Wake] = [:]
    }

    private let state = Locked(State())

    /// A state has changed.
    func changed() {
        for wake in state.withLock({ Array($0.wakes.values) }) { wake.send() }
    }

    /// Ends all waiting, for good.
    func close() {
        state.withLock { $0.isClosed = true }
        changed()
    }

    /// Waits until a condition holds, the time is up, or it is not wanted any more.
    ///
    /// - Parameters:
    ///   - limit: the longest time.
    ///   - condition: is asked again after each change of a state.
    func wait(atMost limit: Duration, until condition: @Sendable () -> Bool) async -> Outcome {
        let wake = Wake()
        let id = state.withLock { state in
            state.last += 1
            state.wakes[state.last] = wake
            return state.last
        }
        defer { state.withLock { $0.wakes[id] = nil } }
        let deadline = ContinuousClock.now + limit
        while !Task.isCancelled, !state.withLock({ $0.isClosed }) {
            if condition() { return .met }
            guard .now < deadline else { return .late }
            await wake.wait(until: deadline)
        }
        return .cancelled
    }
}
