import Foundation
import Subprocess
import Synchronization

/// A command that is run for events, each time in a process group of its own, of which nothing is left behind.
struct EventCommand: Sendable {
    /// How a run ended.
    enum Outcome: Sendable, Equatable {
        case exited(Int32)
        case signaled(Int32)
        case timedOut(Duration)
        case notStarted(String)

        /// What is wrong, as the rest of a sentence; `nil` for exit code 0.
        var problem: String? {
            switch self {
            case .exited(0): nil
            case .exited(let code): "ended with exit code \(code)"
            case .signaled(let signal): "was ended by signal \(signal)"
            case .timedOut(let limit): "did not end within \(limit)"
            case .notStarted(let reason): "could not be started: \(reason)"
            }
        }
    }

    /// A run without success.
    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    /// How long a command that is to end may take before it is killed.
    private static let terminationTime: Duration = .seconds(2)

    /// What people know it by.
    let name: String
    private let path: String
    private let arguments: [String]
    private let timeout: Duration?

    /// - Parameters:
    ///   - command: the program and its arguments.
    ///   - timeout: how long a run may take.
    /// - Throws: `CommandFailure`, usage, when there is no such program.
    init(
        _ command: [String],
        timeout: Duration? = nil,
        searchPath: String = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    ) throws {
        guard let program = command.first, !program.isEmpty else {
            throw CommandFailure(.usage, "give the command to run for each event after --")
        }
        name = program
        arguments = Array(command.dropFirst())
        self.timeout = timeout
        let candidates =
            program.contains("/") ? [program] : searchPath.split(separator: ":").map { "\($0)/\(program)" }
        let found = candidates.first { path in
            var isDirectory: ObjCBool = false
            return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && !isDirectory.boolValue
                && FileManager.default.isExecutableFile(atPath: path)
        }
        guard let found else {
            let problem =
                program.contains("/") && FileManager.default.fileExists(atPath: program)
                ? "is not executable; chmod +x it, or name its interpreter (sh \(program))" : "does not exist"
            throw CommandFailure(.usage, "the command \(program) \(problem)")
        }
        path = found
    }

    /// Runs it once; terminates it, and what belongs to it, when the task is cancelled or the time is up.
    ///
    /// - Parameters:
    ///   - input: what it reads on its standard input; it need not.
    ///   - environment: what is added to ours.
    func run(input: String, environment: [String: String]) async -> Outcome {
        await withTaskGroup(of: Outcome?.self) { group in
            group.addTask { await start(input, environment) }
            if let timeout {
                group.addTask {
                    try? await Task.sleep(for: timeout)
                    return nil
                }
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            if let first { return first }
            // The time is up, or we are told to end: what it ended with then says nothing.
            let last = await group.next() ?? nil
            guard let timeout else { return last ?? .signaled(SIGTERM) }
            return .timedOut(timeout)
        }
    }

    private func start(_ input: String, _ environment: [String: String]) async -> Outcome {
        var options = PlatformOptions()
        // A group of its own: a Ctrl-C at our terminal is ours to handle, and the group can be ended as a whole.
        options.processGroupID = 0
        options.teardownSequence = [
            .send(signal: .terminate, toProcessGroup: true, allowedDurationToNextStep: Self.terminationTime)
        ]
        var updates: [Subprocess.Environment.Key: String?] = [:]
        for (name, value) in environment {
            // No environment can hold a NUL.
            updates[Subprocess.Environment.Key(stringLiteral: name)] = value.replacing("\0", with: "\u{FFFD}")
        }
        let configuration = Subprocess.Configuration(
            executable: .name("sh"),
            arguments: Arguments(["-c", #"exec "$@""#, "sh", path] + arguments),
            environment: .inherit.updating(updates),
            platformOptions: options
        )
        let started = StartedGroup()
        // Nothing it started outlives it.
        defer { started.kill() }
        do {
            let result = try await Subprocess.run(
                configuration,
                input: .inputWriter,
                output: .currentStandardOutput,
                error: .currentStandardError
            ) { execution in
                started.began(execution.processIdentifier.value)
                // A command that does not read all is no failure.
                _ = try? await execution.standardInputWriter.write(input)
                try? await execution.standardInputWriter.finish()
            }
            switch result.terminationStatus {
            case .exited(let code): return .exited(Int32(code))
            case .signaled(let signal): return .signaled(Int32(signal))
            }
        } catch {
            return .notStarted("\(error)")
        }
    }
}

/// The process group of a run.
private final class StartedGroup: Sendable {
    private let group = Atomic<Int32>(0)

    func began(_ pid: pid_t) { group.store(pid, ordering: .releasing) }

    /// Kills what is left of the group. Its number is not another's yet: numbers are given out in turn.
    func kill() {
        let group = group.load(ordering: .acquiring)
        if group > 1 { Foundation.kill(-group, SIGKILL) }
    }
}
