import TestSupport

/// What is done to the keepers, the nodes and the servers of a mesh, drawn from a seed.
struct KeeperSchedule: Sendable {
    /// What is done to a keeper for a time; afterwards all is well again.
    enum KeeperFault: String, Sendable, CaseIterable {
        /// Killed, and started again at the end.
        case killed
        /// Suspended.
        case stopped
        /// Asked to end, and started again at the end.
        case ended
        /// Its connection is reset once.
        case cut
        /// What goes over its connection is held back.
        case stalled
        /// Its connection is reset, and it gets none.
        case refused
    }

    /// What is done to a server.
    enum ServerFault: String, Sendable, CaseIterable {
        /// Killed, and started again at the end.
        case killed
        /// Suspended.
        case suspended
    }

    /// A fault, and when it comes.
    struct Step<Fault: Sendable>: Sendable {
        /// The time without a fault before it.
        var pause: Duration
        var fault: Fault
        /// How long it lasts.
        var duration: Duration
    }

    /// A time in which a node emits, and one behind it in which it does not.
    struct Life: Sendable {
        var alive: Duration
        var dead: Duration
        /// Whether it stays dead until that was announced.
        var isLong: Bool
    }

    /// The time between two health events of a node.
    static let interval: Duration = .seconds(1)
    /// For how long keepers and servers have faults.
    private static let length: Duration = .seconds(13)

    let seed: UInt64
    private(set) var keepers: [[Step<KeeperFault>]] = []
    private(set) var server: [Step<ServerFault>] = []
    /// The lives of the simulated nodes, by name; a node without any never dies.
    private(set) var nodes: [String: [Life]] = [:]
    /// The life of a real node, a process group; `nil` for none.
    private(set) var process: Life?

    /// Draws a schedule.
    ///
    /// - Parameters:
    ///   - seed: decides all of it.
    ///   - isCluster: whether the server that leads a stream has a fault in any case.
    init(seed: UInt64, isCluster: Bool) {
        self.seed = seed
        var generator = SeededGenerator(seed: seed)
        func seconds(_ range: ClosedRange<Double>) -> Duration {
            .seconds(Double.random(in: range, using: &generator))
        }
        // In two of three schedules one keeper has no fault.
        let calm = seed % 3 == 0 ? nil : Int.random(in: 0..<3, using: &generator)
        for keeper in 0..<3 {
            var (steps, time) = ([Step<KeeperFault>](), Duration.zero)
            while keeper != calm, time < Self.length {
                let fault = KeeperFault.allCases.randomElement(using: &generator) ?? .killed
                let step = Step(pause: seconds(0.3...5), fault: fault, duration: seconds(0.2...4))
                steps.append(step)
                time += step.pause + step.duration
            }
            keepers.append(steps)
        }
        if isCluster || seed % 4 == 1 {
            for _ in 0..<Int.random(in: 1...2, using: &generator) {
                let fault = ServerFault.allCases.randomElement(using: &generator) ?? .killed
                server.append(Step(pause: seconds(2...6), fault: fault, duration: seconds(0.2...3)))
            }
        }
        for name in ["steady-1", "steady-2"] { nodes[name] = [] }
        for name in ["mortal-1", "mortal-2", "mortal-3"] {
            nodes[name] = (0..<2).map { _ in Life(alive: seconds(2...6), dead: seconds(3.5...6), isLong: true) }
        }
        nodes["absent"] = (0..<3).map { _ in Life(alive: seconds(1.5...4), dead: seconds(0.5...4.5), isLong: false) }
        if seed % 4 == 2 { process = Life(alive: seconds(2...5), dead: .zero, isLong: true) }
    }
}
