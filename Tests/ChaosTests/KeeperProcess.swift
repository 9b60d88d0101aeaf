import MeshEvents
import Synchronization
import TestSupport

/// A `mesh-events keep` with a proxy before each server, started again when it ends by itself.
final class KeeperProcess: Sendable {
    /// A time in which it had a fault.
    struct Trouble: Sendable {
        var fault: KeeperSchedule.KeeperFault
        var begin: Timestamp
        var end: Timestamp
    }

    /// The lease of each keeper.
    static let lease: Duration = .milliseconds(900)

    private let links: [TCPProxy]
    private let program: SupervisedProgram
    private let known = Mutex<[Trouble]>([])

    /// Creates a keeper of the servers on these ports; ``start()`` starts it.
    init(_ name: String, ports: [Int]) async throws {
        var links: [TCPProxy] = []
        for port in ports { links.append(try await TCPProxy.start(before: port)) }
        self.links = links
        program = SupervisedProgram(
            name,
            ["keep", "--node", name, "--lease", "900ms", "--nats", links.map(\.url).joined(separator: ",")],
            in: try TemporaryDirectory()
        )
    }

    var name: String { program.name }
    /// The times in which it had a fault.
    var troubles: [Trouble] { known.withLock { $0 } }
    /// How it ended when it was not asked to.
    var ends: [String] { program.ends }

    /// Starts it.
    func start() throws { try program.start() }

    /// Starts it again whenever it has ended by itself; until the task is cancelled.
    func supervise() async throws { try await program.supervise() }

    /// Asks it to end, and waits until it has; its exit code.
    @discardableResult
    func end() async throws -> Int32 { try await program.end() }

    /// Ends its proxies.
    func close() async {
        program.kill()
        for link in links { await link.stop() }
    }

    /// Has a fault for a time.
    func suffer(_ step: KeeperSchedule.Step<KeeperSchedule.KeeperFault>) async throws {
        let begin = Timestamp.now
        let number = known.withLock { troubles in
            troubles.append(Trouble(fault: step.fault, begin: begin, end: begin.adding(.seconds(3_600))))
            return troubles.count - 1
        }
        switch step.fault {
        case .killed: try await program.killed(for: step.duration)
        case .ended:
            let code = try await end()
            if code != 0 { program.note("ended with \(code) when it was asked to") }
            try await Task.sleep(for: step.duration)
            try start()
        case .stopped: try await program.stopped(for: step.duration)
        case .cut:
            for link in links { link.cut() }
        case .stalled:
            for link in links { link.treat { $0.delay = step.duration } }
            try await Task.sleep(for: step.duration)
            for link in links { link.treat { $0.delay = .zero } }
            // What came last is held back for the same time.
            try await Task.sleep(for: step.duration)
        case .refused:
            for link in links {
                link.treat { $0.refuses = true }
                link.cut()
            }
            try await Task.sleep(for: step.duration)
            for link in links { link.treat { $0.refuses = false } }
        }
        known.withLock { $0[number].end = .now }
    }
}
