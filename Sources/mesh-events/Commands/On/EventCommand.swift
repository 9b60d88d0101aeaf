import Foundation
import Subprocess
import Synchronization

/// A command that is run for events, each time in a process group of its own. All processes of the group end with it.
struct EventCommand: Sendable {
    /// How a run ended.
    enum Outcome: Sendable, Equatable {
        case exited(Int32)
        case signaled(Int32)
        case timedOut(Duration)
        case notStarted(String)

        /// What went wrong, as the rest of a sentence; `nil` for exit code 0.
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

    /// How long a command may take to end after SIGTERM, before it is killed.
    private static let terminationTime: Duration = .seconds(2)

    /// The command's name, for messages.
    let name: String
    private let path: String
    private let arguments: [String]
    private let timeout: Duration?

    /// Finds the program.
    ///
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

    /// Runs the command once; terminates its process group when the task is cancelled or the time is up.
    ///
    /// - Parameters:
    ///   - input: the text for its standard input, which it need not read.
    ///   - environment: variables to add to this process's environment.
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
            // The time is up, or the task was cancelled: the exit status of a terminated command does not count.
            let last = await group.next() ?? nil
            guard let timeout else { return last ?? .signaled(SIGTERM) }
            return .timedOut(timeout)
        }
    }

    private func start(_ input: String, _ environment: [String: String]) async -> Outcome {
        var options = PlatformOptions()
        // A group of its own: a Ctrl-C at the terminal reaches only this process, and the group can be ended as a
        // whole.
        options.processGroupID = 0
        options.teardownSequence = [
            .send(signal: .terminate, toProcessGroup: true, allowedDurationToNextStep: Self.terminationTime)
        ]
        var updates: [Subprocess.Environment.Key: String?] = [:]
        for (name, value) in environment {
            // An environment variable cannot contain NUL.
            updates[Subprocess.Environment.Key(stringLiteral: name)] = value.replacing("\0", with: "\u{FFFD}")
        }
        let configuration = Subprocess.Configuration(
            executable: .name("sh"),
            arguments: Arguments(["-c", #"exec "$@""#, "sh", path] + arguments),
            environment: .inherit.updating(updates),
            platformOptions: options
        )
        let started = StartedGroup()
        // Ends all processes that the command started.
        defer { started.kill() }
        do {
            let result = try await Subprocess.run(
                configuration,
                input: .inputWriter,
                output: .currentStandardOutput,
                error: .currentStandardError
            ) { execution in
                started.began(execution.processIdentifier.value)
                // It is no failure when a command does not read all its input.
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

    /// Kills the rest of the group. Its number is not used again yet, because the system assigns numbers in turn.
    func kill() {
        let group = group.load(ordering: .acquiring)
        if group > 1 { Foundation.kill(-group, SIGKILL) }
    }
}
