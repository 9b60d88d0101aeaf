import MeshEvents
import TestSupport

/// A `mesh-events alert run`, started again when it ends by itself.
final class AlertWatcher: Sendable {
    private let program: SupervisedProgram

    /// Creates one with this file of rules; ``start()`` starts it.
    init(_ name: String, url: String, rules: String, lease: String) throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("alerts.yaml", rules)
        program = SupervisedProgram(
            name,
            ["alert", "run", "--node", name, "--lease", lease, "--nats", url, "--config", file],
            in: directory
        )
    }

    var name: String { program.name }
    /// How it ended when it was not asked to.
    var ends: [String] { program.ends }
    /// What it said, all its starts together.
    var said: String { program.said }

    /// Starts it.
    func start() throws { try program.start() }

    /// Starts it again whenever it has ended by itself; until the task is cancelled.
    func supervise() async throws { try await program.supervise() }

    /// Has a fault for a time.
    func suffer(
        _ step: AlertSchedule.Step<AlertSchedule.WatcherFault>,
        _ recorder: AlertRecorder
    ) async throws {
        if step.fault == .killedTelling { try await recorder.waitForRequest() }
        switch step.fault {
        case .killed, .killedTelling: try await program.killed(for: step.duration)
        case .stopped: try await program.stopped(for: step.duration)
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
        let code = try await program.end()
        // One that has just been started has no handler for the signal yet, or may have found no server.
        if code != 0, program.saidLately.contains("watches the") {
            throw TestSupportError("\(name) ended with \(code): \(said)")
        }
    }

    /// Kills it.
    func kill() { program.kill() }
}
