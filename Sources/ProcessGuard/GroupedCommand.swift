import Subprocess
import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A program that is run again and again, each time in a process group of its own. All processes of the group end with the
/// run.
package struct GroupedCommand: Sendable {
    /// How a run ended.
    package enum Outcome: Sendable, Equatable {
        /// It exited by itself with this code.
        case exited(Int32)
        /// This signal ended it.
        case signaled(Int32)
        /// It was terminated after this time.
        case timedOut(Duration)
        /// It never ran, for the reason given.
        case notStarted(String)

        /// What went wrong, as the rest of a sentence; `nil` for exit code 0.
        package var problem: String? {
            switch self {
            case .exited(0): nil
            case .exited(let code): "ended with exit code \(code)"
            case .signaled(let signal): "was ended by signal \(signal)"
            case .timedOut(let limit): "did not end within \(limit)"
            case .notStarted(let reason): "could not be started: \(reason)"
            }
        }
    }

    /// What a run gets for its environment.
    package enum RunEnvironment: Sendable {
        /// This process's, with these variables added.
        case inherited(adding: [String: String])
        /// These variables and no others.
        case only([String: String])
    }

    /// What becomes of a run's two outputs.
    package enum Output: Sendable {
        /// They are those of this process.
        case inherited
        /// They are thrown away.
        case discarded
    }

    /// Why a program cannot be run: a part of a sentence after its name.
    package struct Unusable: Error, CustomStringConvertible {
        /// `does not exist`, for example.
        package let description: String
    }

    /// How long a run waits for file descriptors when too few are free: that is no fault of the command.
    private static let patience: Duration = .seconds(30)
    /// How long a command may take to end after SIGTERM, before it is killed.
    private static let terminationTime: Duration = .seconds(2)

    private let path: String
    private let timeout: Duration?

    /// Finds the program.
    ///
    /// - Parameters:
    ///   - program: its path, or its name in the search path.
    ///   - timeout: how long a run may take; `nil` for no limit.
    ///   - searchPath: where a program without a `/` is looked for; directories with colons between them.
    /// - Throws: ``Unusable`` when there is no such program.
    package init(_ program: String, timeout: Duration?, searchPath: String) throws(Unusable) {
        self.timeout = timeout
        let candidates =
            program.contains("/") ? [program] : searchPath.split(separator: ":").map { "\($0)/\(program)" }
        guard let found = candidates.first(where: { Self.exists($0) && access($0, X_OK) == 0 }) else {
            throw Unusable(
                description: program.contains("/") && Self.exists(program)
                    ? "is not executable; chmod +x it, or name its interpreter (sh \(program))" : "does not exist"
            )
        }
        path = found
    }

    /// Runs the program once; terminates its process group when the task is cancelled or the time is up.
    ///
    /// - Parameters:
    ///   - arguments: behind the program's name; a NUL in them becomes U+FFFD.
    ///   - input: the text for its standard input, which it need not read.
    ///   - environment: its environment; a NUL in a value becomes U+FFFD.
    ///   - output: what becomes of its outputs.
    package func run(
        _ arguments: [String],
        input: String,
        environment: RunEnvironment,
        output: Output
    ) async -> Outcome {
        await withTaskGroup(of: Outcome?.self) { group in
            group.addTask { await start(arguments, input, environment, output) }
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

    private func start(
        _ arguments: [String],
        _ input: String,
        _ environment: RunEnvironment,
        _ output: Output
    ) async -> Outcome {
        var options = PlatformOptions()
        // A group of its own: a Ctrl-C at the terminal reaches only this process, and the group can be ended as a
        // whole.
        options.processGroupID = 0
        options.teardownSequence = [
            .send(signal: .terminate, toProcessGroup: true, allowedDurationToNextStep: Self.terminationTime)
        ]
        let configuration = Subprocess.Configuration(
            executable: .name("sh"),
            arguments: Arguments(["-c", #"exec "$@""#, "sh", path] + arguments.map(Self.withoutNUL)),
            environment: Self.environment(environment),
            platformOptions: options
        )
        let started = StartedGroup()
        // Ends all processes that the command started.
        defer { started.kill() }
        do {
            let start = try await DescriptorReserve.begin(patience: Self.patience)
            defer { start.end() }
            let input = try TextInput(input)
            defer { input.close() }
            let status = try await withThrowingTaskGroup { group in
                group.addTask { await input.write() }
                // A command that has ended reads no more.
                defer { group.cancelAll() }
                return try await Self.run(configuration, input, output) { pid in
                    started.began(pid)
                    start.end()
                }
            }
            switch status {
            case .exited(let code): return .exited(Int32(code))
            case .signaled(let signal): return .signaled(Int32(signal))
            }
        } catch {
            return .notStarted("\(error)")
        }
    }

    /// Runs it until it has ended.
    ///
    /// - Parameter began: is called with its process id as soon as it runs.
    private static func run(
        _ configuration: Subprocess.Configuration,
        _ input: TextInput,
        _ output: Output,
        _ began: @escaping @Sendable (pid_t) -> Void
    ) async throws -> TerminationStatus {
        let input = FileDescriptorInput.fileDescriptor(try wrapped(input.readEnd), closeAfterSpawningProcess: false)
        switch output {
        case .inherited:
            return try await Subprocess.run(
                configuration,
                input: input,
                output: .currentStandardOutput,
                error: .currentStandardError
            ) { began($0.processIdentifier.value) }.terminationStatus
        case .discarded:
            return try await Subprocess.run(
                configuration,
                input: input,
                output: .discarded,
                error: .discarded
            ) { began($0.processIdentifier.value) }.terminationStatus
        }
    }

    /// Whether there is something other than a directory.
    private static func exists(_ path: String) -> Bool {
        var information = stat()
        return stat(path, &information) == 0 && information.st_mode & S_IFMT != S_IFDIR
    }

    private static func environment(_ environment: RunEnvironment) -> Subprocess.Environment {
        switch environment {
        case .inherited(let added):
            var updates: [Subprocess.Environment.Key: String?] = [:]
            for (name, value) in added { updates[Subprocess.Environment.Key(stringLiteral: name)] = withoutNUL(value) }
            return .inherit.updating(updates)
        case .only(let all):
            var variables: [Subprocess.Environment.Key: String] = [:]
            for (name, value) in all { variables[Subprocess.Environment.Key(stringLiteral: name)] = withoutNUL(value) }
            return .custom(variables)
        }
    }

    /// Neither an argument nor a variable can contain NUL.
    private static func withoutNUL(_ text: String) -> String { text.replacing("\0", with: "\u{FFFD}") }
}

/// The process group of a run.
private final class StartedGroup: Sendable {
    private let group = Atomic<Int32>(0)

    func began(_ pid: pid_t) { group.store(pid, ordering: .releasing) }

    /// Kills the rest of the group. Its number is not used again yet, because the system assigns numbers in turn.
    func kill() {
        let group = group.load(ordering: .acquiring)
        if group > 1 { _ = sendSignal(-group, SIGKILL) }
    }
}
