import Foundation
import MeshEvents
import Synchronization
import TestSupport

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A `mesh-events` that is started again when it ends by itself, and can be killed and stopped for a time.
final class SupervisedProgram: Sendable {
    private struct State {
        var process: SpawnedProcess?
        /// Whether it is to run.
        var isWanted = false
        var starts = 0
        var ends: [String] = []
    }

    let name: String
    let directory: TemporaryDirectory
    private let arguments: [String]
    private let state = Mutex(State())

    /// Creates one with these arguments; ``start()`` starts it.
    init(_ name: String, _ arguments: [String], in directory: TemporaryDirectory) {
        self.name = name
        self.arguments = arguments
        self.directory = directory
    }

    /// Its process id; `nil` when it does not run.
    var pid: Int32? { state.withLock { $0.process?.pid } }

    /// How it ended when it was not asked to.
    var ends: [String] { state.withLock { $0.ends } }

    /// What it said, all its starts together.
    var said: String { (1...max(state.withLock { $0.starts }, 1)).map { said(inStart: $0) }.joined() }

    /// What it said since its last start.
    var saidLately: String { said(inStart: state.withLock { $0.starts }) }

    private func said(inStart number: Int) -> String { (try? directory.text(of: "output-\(number)")) ?? "" }

    /// Starts it.
    func start() throws {
        let number = state.withLock { state in
            state.starts += 1
            return state.starts
        }
        let file = try directory.outputFile("output-\(number)")
        let process = try SpawnedProcess(
            try BuildProducts.executable("mesh-events"),
            arguments,
            environment: ["HOME": directory.path, "PATH": "/usr/bin:/bin"],
            directory: directory.path,
            output: file,
            error: file
        )
        state.withLock { ($0.process, $0.isWanted) = (process, true) }
    }

    /// Starts it again whenever it has ended by itself, as a service manager does; until the task is cancelled.
    func supervise() async throws {
        while true {
            try await Task.sleep(for: .milliseconds(100))
            let ended = state.withLock { state -> (code: Int32, number: Int)? in
                guard state.isWanted, let code = state.process?.code else { return nil }
                state.process = nil
                return (code, state.starts)
            }
            guard let ended else { continue }
            note("ended with \(ended.code) at \(Timestamp.now): \(said(inStart: ended.number))")
            try start()
        }
    }

    /// Notes an end that was not as it should be.
    func note(_ end: String) { state.withLock { $0.ends.append("\(name) \(end)") } }

    /// Asks it to end, and waits until it has; its exit code, 0 when it did not run.
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

    /// Kills it, and starts it again after a time.
    func killed(for duration: Duration) async throws {
        let process = state.withLock { state in
            state.isWanted = false
            return state.process
        }
        process?.signal(SIGKILL)
        process?.waitUntilExit()
        try await Task.sleep(for: duration)
        try start()
    }

    /// Stops it for a time.
    func stopped(for duration: Duration) async throws {
        let process = state.withLock { $0.process }
        process?.signal(SIGSTOP)
        try await Task.sleep(for: duration)
        process?.signal(SIGCONT)
    }

    /// Kills it for good.
    func kill() { state.withLock { $0.process?.signal(SIGKILL) } }
}
