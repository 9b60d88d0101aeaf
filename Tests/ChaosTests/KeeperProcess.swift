import Foundation
import MeshEvents
import Synchronization
import TestSupport

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A `mesh-events keep` with a proxy before each server, started again when it ends by itself.
final class KeeperProcess: Sendable {
    /// A time in which it had a fault.
    struct Trouble: Sendable {
        var fault: KeeperSchedule.KeeperFault
        var begin: Timestamp
        var end: Timestamp
    }

    private struct State {
        var process: SpawnedProcess?
        /// Whether it is to run.
        var isWanted = false
        var starts = 0
        var troubles: [Trouble] = []
        var ends: [String] = []
    }

    /// The lease of each keeper.
    static let lease: Duration = .milliseconds(900)

    let name: String
    private let links: [TCPProxy]
    private let directory: TemporaryDirectory
    private let state = Mutex(State())

    /// Creates a keeper of the servers on these ports; ``start()`` starts it.
    init(_ name: String, ports: [Int]) async throws {
        self.name = name
        directory = try TemporaryDirectory()
        var links: [TCPProxy] = []
        for port in ports { links.append(try await TCPProxy.start(before: port)) }
        self.links = links
    }

    /// The times in which it had a fault.
    var troubles: [Trouble] { state.withLock { $0.troubles } }
    /// How it ended when it was not asked to.
    var ends: [String] { state.withLock { $0.ends } }

    /// Starts it.
    func start() throws {
        let number = state.withLock { state in
            state.starts += 1
            return state.starts
        }
        let file = FileHandle(forWritingAtPath: try directory.file("output-\(number)", ""))
        let process = try SpawnedProcess(
            try BuildProducts.executable("mesh-events"),
            ["keep", "--node", name, "--lease", "900ms", "--nats", links.map(\.url).joined(separator: ",")],
            environment: ["HOME": directory.path, "PATH": "/usr/bin:/bin"],
            directory: directory.path,
            output: file,
            error: file
        )
        state.withLock { ($0.process, $0.isWanted) = (process, true) }
    }

    /// Starts it again whenever it has ended by itself, as a service manager does; until the task is cancelled.
    func supervise() async throws {
        while !Task.isCancelled {
            try await Task.sleep(for: .milliseconds(100))
            let ended = state.withLock { state -> (code: Int32, number: Int)? in
                guard state.isWanted, let code = state.process?.code else { return nil }
                state.process = nil
                return (code, state.starts)
            }
            guard let ended else { continue }
            let said = (try? directory.text(of: "output-\(ended.number)")) ?? ""
            state.withLock { $0.ends.append("\(name) ended with \(ended.code) at \(Timestamp.now): \(said)") }
            try start()
        }
    }

    /// Asks it to end, and waits until it has; its exit code.
    @discardableResult
    func end() async throws -> Int32 {
        let process = state.withLock { state in
            state.isWanted = false
            return state.process
        }
        guard let process else { return 0 }
        process.signal(SIGTERM)
        try await eventually("\(name) to end") { !process.isRunning }
        return process.code ?? 0
    }

    /// Ends its proxies.
    func close() async {
        state.withLock { $0.process?.signal(SIGKILL) }
        for link in links { await link.stop() }
    }

    /// Has a fault for a time.
    func suffer(_ step: KeeperSchedule.Step<KeeperSchedule.KeeperFault>) async throws {
        let begin = Timestamp.now
        let number = state.withLock { state in
            state.troubles.append(Trouble(fault: step.fault, begin: begin, end: begin.adding(.seconds(3_600))))
            return state.troubles.count - 1
        }
        let process = state.withLock { $0.process }
        switch step.fault {
        case .killed:
            state.withLock { $0.isWanted = false }
            process?.signal(SIGKILL)
            process?.waitUntilExit()
            try await Task.sleep(for: step.duration)
            try start()
        case .ended:
            let code = try await end()
            if code != 0 { state.withLock { $0.ends.append("\(name) ended with \(code) when it was asked to") } }
            try await Task.sleep(for: step.duration)
            try start()
        case .stopped:
            process?.signal(SIGSTOP)
            try await Task.sleep(for: step.duration)
            process?.signal(SIGCONT)
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
        state.withLock { $0.troubles[number].end = .now }
    }
}
