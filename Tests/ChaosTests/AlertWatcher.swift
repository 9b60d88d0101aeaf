import Foundation
import MeshEvents
import Synchronization
import TestSupport

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A `mesh-events alert run`, started again when it ends by itself.
final class AlertWatcher: Sendable {
    private struct State {
        var process: SpawnedProcess?
        /// Whether it is to run.
        var isWanted = false
        var starts = 0
        var ends: [String] = []
    }

    let name: String
    private let arguments: [String]
    private let directory: TemporaryDirectory
    private let state = Mutex(State())

    /// Creates one with this file of rules; ``start()`` starts it.
    init(_ name: String, url: String, rules: String, lease: String) throws {
        self.name = name
        directory = try TemporaryDirectory()
        arguments = [
            "alert", "run", "--node", name, "--lease", lease, "--nats", url,
            "--config", try directory.file("alerts.yaml", rules),
        ]
    }

    /// How it ended when it was not asked to.
    var ends: [String] { state.withLock { $0.ends } }

    /// What it said, all its starts together.
    var said: String {
        let starts = state.withLock { $0.starts }
        return (1...max(starts, 1)).map { (try? directory.text(of: "output-\($0)")) ?? "" }.joined()
    }

    /// Starts it.
    func start() throws {
        let number = state.withLock { state in
            state.starts += 1
            return state.starts
        }
        let file = FileHandle(forWritingAtPath: try directory.file("output-\(number)", ""))
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
            let said = (try? directory.text(of: "output-\(ended.number)")) ?? ""
            state.withLock { $0.ends.append("\(name) ended with \(ended.code) at \(Timestamp.now): \(said)") }
            try start()
        }
    }

    /// Has a fault for a time.
    func suffer(
        _ step: AlertSchedule.Step<AlertSchedule.WatcherFault>,
        _ recorder: AlertRecorder
    ) async throws {
        if step.fault == .killedTelling { try await recorder.waitForRequest() }
        let process = state.withLock { $0.process }
        switch step.fault {
        case .killed, .killedTelling:
            state.withLock { $0.isWanted = false }
            process?.signal(SIGKILL)
            process?.waitUntilExit()
            try await Task.sleep(for: step.duration)
            try start()
        case .stopped:
            process?.signal(SIGSTOP)
            try await Task.sleep(for: step.duration)
            process?.signal(SIGCONT)
        case .ended:
            try await end()
            try await Task.sleep(for: step.duration)
            try start()
        }
    }

    /// Asks it to end, and waits until it has.
    ///
    /// - Throws: when its exit code is not 0.
    func end() async throws {
        let (process, number) = state.withLock { state in
            state.isWanted = false
            return (state.process, state.starts)
        }
        guard let process else { return }
        process.signal(SIGTERM)
        try await eventually("\(name) to end") { !process.isRunning }
        // One that has just been started has no handler for the signal yet, or may have found no server.
        let hasBegun = try directory.text(of: "output-\(number)").contains("watches the")
        if let code = process.code, code != 0, hasBegun {
            throw TestSupportError("\(name) ended with \(code): \(said)")
        }
    }

    /// Kills it.
    func kill() { state.withLock { $0.process?.signal(SIGKILL) } }
}
