import Dispatch
import FileDescriptors
import MeshConcurrency
import Subprocess
import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A supervised child process: it reports the program's own exit status and its output. All its descendants are killed
/// when it ends, when it is stopped, or when this process ends, even by `SIGKILL`.
///
/// It runs in a process group of its own, so that a Ctrl-C at the terminal does not reach it, with `/dev/null` as its
/// input. A stop signals the whole group; the rest of the group is killed when the program has ended. On Linux,
/// descendants in other groups and sessions are killed too, also when they clear their environment. (Elsewhere they
/// escape.)
package final class SupervisedProcess: Sendable {
    /// How long the guard may take to kill the rest of the group.
    private static let sweepTimeout = GroupGuard.sweepTimeout
    /// How long output may be read after all processes have ended.
    private static let drainTimeout: Duration = .seconds(1)

    /// The program's process id.
    package var pid: Int32 { process.value?.pid ?? 0 }

    /// How its processes are found.
    package var family: ProcessFamily { ProcessFamily(pid: pid, group: groupGuard.group, mark: groupGuard.mark) }

    let groupGuard: GroupGuard
    private let process = OneShot<(pid: Int32, error: LaunchError?)>()
    private let ended = OneShot<ProcessEnd>()

    private init(groupGuard: GroupGuard) {
        self.groupGuard = groupGuard
    }

    deinit { groupGuard.release() }

    /// Starts a program; returns when the system has started it.
    ///
    /// - Parameters:
    ///   - directory: A directory that is removed when this process ends before the program; `nil` for none.
    ///   - output: Is called with the program's output, on one serial queue, in order for each stream.
    /// - Throws: `LaunchError`.
    package static func launch(
        _ command: Command,
        removing directory: String? = nil,
        output: @escaping @Sendable (ProcessOutput) -> Void
    ) async throws(LaunchError) -> SupervisedProcess {
        try await launchInBatches(command, removing: directory) { for piece in $0 { output(piece) } }
    }

    /// Starts a program; returns when the system has started it.
    ///
    /// - Parameters:
    ///   - directory: A directory that is removed when this process ends before the program; `nil` for none.
    ///   - output: Is called with all output that one read has brought, on one serial queue, in order for each stream.
    /// - Throws: `LaunchError`.
    package static func launchInBatches(
        _ command: Command,
        removing directory: String? = nil,
        output: @escaping @Sendable ([ProcessOutput]) -> Void
    ) async throws(LaunchError) -> SupervisedProcess {
        try await launch(removing: directory, user: command.settings.user) { process throws(LaunchError) in
            try await process.start(command, output)
        }
    }

    /// Starts a program whose output is appended to a file; returns when the system has started it.
    ///
    /// - Parameters:
    ///   - log: The path of the file, which is created when it does not exist.
    ///   - directory: A directory that is removed when this process ends before the program; `nil` for none.
    ///   - patience: How long to wait for file descriptors when too few are free.
    /// - Throws: `LaunchError`.
    package static func launch(
        _ command: Command,
        appendingTo log: String,
        removing directory: String? = nil,
        patience: Duration = .seconds(1)
    ) async throws(LaunchError) -> SupervisedProcess {
        try await launch(removing: directory, user: command.settings.user, patience) { process throws(LaunchError) in
            try await process.start(command, appendingTo: log)
        }
    }

    private static func launch(
        removing directory: String?,
        user: ProcessUser?,
        _ patience: Duration = DescriptorReserve.patience,
        _ start: (SupervisedProcess) async throws(LaunchError) -> Void
    ) async throws(LaunchError) -> SupervisedProcess {
        try await DescriptorReserve.during(patience: patience) { () async throws(LaunchError) -> SupervisedProcess in
            let groupGuard = try await GroupGuard.start(removing: directory, user: user)
            let process = SupervisedProcess(groupGuard: groupGuard)
            do throws(LaunchError) {
                try await start(process)
            } catch {
                groupGuard.release()
                await groupGuard.waitForEnd(atMost: sweepTimeout)
                throw error
            }
            return process
        }
    }

    private func start(_ command: Command, appendingTo log: String) async throws(LaunchError) {
        let standardOutput = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        guard standardOutput >= 0 else { throw LaunchError("\(log) cannot be written", errorNumber: errno) }
        let standardError = fcntl(standardOutput, F_DUPFD_CLOEXEC, 0)
        guard standardError >= 0 else {
            let problem = errno
            close(standardOutput)
            throw LaunchError("\(log) cannot be written", errorNumber: problem)
        }
        try await start(command, standardOutput, standardError, readers: [])
    }

    private func start(
        _ command: Command,
        _ output: @escaping @Sendable ([ProcessOutput]) -> Void
    ) async throws(LaunchError) {
        let standardOutput = try DescriptorPair()
        let standardError: DescriptorPair
        do {
            standardError = try DescriptorPair()
        } catch {
            close(standardOutput.readEnd)
            close(standardOutput.writeEnd)
            throw error
        }
        let queue = DispatchQueue(label: "mesh-events.process.output")
        let readers = [(ProcessOutput.Stream.stdout, standardOutput), (.stderr, standardError)].map { stream, pipe in
            pipe.setNonBlockingRead()
            return OutputReader(
                stream,
                descriptor: pipe.readEnd,
                limits: command.limits,
                queue: queue,
                handler: output
            )
        }
        try await start(command, standardOutput.writeEnd, standardError.writeEnd, readers: readers)
    }

    private func start(
        _ command: Command,
        _ standardOutput: Int32,
        _ standardError: Int32,
        readers: [OutputReader]
    ) async throws(LaunchError) {
        // Not a child task: the process lives longer than this call.
        let (began, groupGuard, ended) = (process, groupGuard, ended)
        Task.detached {
            let end = await Self.run(command, groupGuard, standardOutput, standardError, began)
            groupGuard.release()
            await groupGuard.waitForEnd(atMost: Self.sweepTimeout)
            for reader in readers { await reader.waitForEnd(atMost: Self.drainTimeout) }
            ended.fulfil(end)
        }
        if let error = await process.uncancelled.error {
            for reader in readers { await reader.waitForEnd(atMost: Self.drainTimeout) }
            throw error
        }
    }

    private static func run(
        _ command: Command,
        _ groupGuard: GroupGuard,
        _ standardOutput: Int32,
        _ standardError: Int32,
        _ began: OneShot<(pid: Int32, error: LaunchError?)>
    ) async -> ProcessEnd {
        guard let group = groupGuard.group else {
            close(standardOutput)
            close(standardError)
            let error = LaunchError("the guard process was killed")
            began.fulfil((0, error))
            return .notLaunched(error.description)
        }
        #if !os(Linux)
            if command.settings.isEmpty {
                return await runPlainly(command, groupGuard, group, standardOutput, standardError, began)
            }
        #endif
        // On Linux always: a limit that is set from outside comes after the program's first steps, and what it has started
        // by then would not be marked by it.
        let launcher = ProcessLauncher(
            command: command,
            group: group,
            mark: groupGuard.mark.limit,
            environment: command.environment.merging([groupGuard.mark.variable: "1"]) { $1 },
            standardOutput: standardOutput,
            standardError: standardError
        )
        return await run(launcher, groupGuard, began)
    }

    #if !os(Linux)
        private static func runPlainly(
            _ command: Command,
            _ groupGuard: GroupGuard,
            _ group: Int32,
            _ standardOutput: Int32,
            _ standardError: Int32,
            _ began: OneShot<(pid: Int32, error: LaunchError?)>
        ) async -> ProcessEnd {
            var options = PlatformOptions()
            options.processGroupID = group
            var environment: [Environment.Key: String] = [:]
            for (name, value) in command.environment { environment[Environment.Key(stringLiteral: name)] = value }
            environment[Environment.Key(stringLiteral: groupGuard.mark.variable)] = "1"
            do {
                let result = try await Subprocess.run(
                    .path(spelled(command.executable)),
                    arguments: Arguments(command.arguments),
                    environment: .custom(environment),
                    workingDirectory: command.directory.map { spelled($0) },
                    platformOptions: options,
                    input: .none,
                    output: .fileDescriptor(try wrapped(standardOutput), closeAfterSpawningProcess: true),
                    error: .fileDescriptor(try wrapped(standardError), closeAfterSpawningProcess: true)
                ) { execution in
                    // The process may have joined a group that was killed already.
                    if groupGuard.group == nil { _ = sendSignal(execution.processIdentifier.value, SIGKILL) }
                    began.fulfil((execution.processIdentifier.value, nil))
                }
                switch result.terminationStatus {
                case .exited(let code): return .exited(code: code)
                case .signaled(let signal): return .signaled(signal)
                }
            } catch {
                let problem = (error as? SubprocessError)?.underlyingError.map(unwrapped)
                let launchError = LaunchError("the system did not start it", errorNumber: problem)
                began.fulfil((0, launchError))
                return .notLaunched(launchError.description)
            }
        }
    #endif

    private static func run(
        _ launcher: ProcessLauncher,
        _ groupGuard: GroupGuard,
        _ began: OneShot<(pid: Int32, error: LaunchError?)>
    ) async -> ProcessEnd {
        let launch: Result<pid_t, LaunchError>
        do throws(LaunchError) {
            launch = .success(try await launcher.launch())
        } catch {
            launch = .failure(error)
        }
        close(launcher.standardOutput)
        close(launcher.standardError)
        switch launch {
        case .success(let pid):
            // The process may have joined a group that was killed already.
            if groupGuard.group == nil { _ = sendSignal(pid, SIGKILL) }
            began.fulfil((pid, nil))
            return await ProcessLauncher.end(of: pid)
        case .failure(let error):
            began.fulfil((0, error))
            return .notLaunched(error.description)
        }
    }

    /// Sends the whole group a signal; does nothing when it has ended.
    package func signal(_ signal: Int32) { groupGuard.signal(signal) }

    /// Sends the program alone a signal; does nothing when it has ended or has left its group.
    package func signalProgram(_ signal: Int32) { groupGuard.signal(signal, to: pid) }

    /// Kills the program, its group and all its descendants; returns at once.
    package func kill() { groupGuard.release() }

    /// Leaves the program to its guard, which kills it as when this process ends, and then removes the directory; returns
    /// at once.
    ///
    /// - Returns: `false` when the program has ended or is being killed; the directory stays then.
    package func abandon() -> Bool { groupGuard.abandon() }

    /// Asks the whole group to end, and kills what has not ended within the grace time.
    ///
    /// Cancellation does not interrupt it. Returns when all its processes have ended.
    ///
    /// - Parameter request: the signal that asks for the end; one that its guard ignores.
    package func stop(request: Int32 = SIGTERM, grace: Duration) async -> ProcessEnd {
        signal(request)
        // A stopped process takes the signal only when it goes on.
        signal(SIGCONT)
        let ended = ended
        if let end = await uncancelled({ try? await ended.wait(atMost: grace) }) { return end }
        kill()
        return await waitForEnd()
    }

    /// How it ended; `nil` while it runs.
    package var end: ProcessEnd? { ended.value }

    /// Waits until all its processes have ended, and all its output has been passed on.
    package func waitForEnd() async -> ProcessEnd { await ended.uncancelled }

    /// The same, until the calling task is cancelled.
    ///
    /// - Throws: `CancellationError`.
    package func waitForEndUnlessCancelled() async throws -> ProcessEnd { try await ended.wait() }

    /// The same, for at most `timeout`; `nil` when the time is up.
    ///
    /// - Throws: `CancellationError`.
    package func waitForEndUnlessCancelled(atMost timeout: Duration) async throws -> ProcessEnd? {
        try await ended.wait(atMost: timeout)
    }

    /// Whether it was killed because its guard had been killed: without a guard it might outlive this process.
    package var hasLostGuard: Bool { groupGuard.isLost }
}

extension SupervisedProcess {
    /// The program to run, with its arguments and environment.
    package struct Command: Sendable {
        /// The path of the program.
        package var executable: String
        /// Its arguments, without its name.
        package var arguments: [String]
        /// Its whole environment.
        package var environment: [String: String]
        /// Its working directory; `nil` for this process's.
        package var directory: String?
        /// How much of its output is passed on.
        package var limits: OutputLimits
        /// What else it is started with.
        package var settings: ProcessSettings

        /// Creates a command.
        package init(
            executable: String,
            arguments: [String] = [],
            environment: [String: String] = [:],
            directory: String? = nil,
            limits: OutputLimits = OutputLimits(),
            settings: ProcessSettings = ProcessSettings()
        ) {
            self.executable = executable
            self.arguments = arguments
            self.environment = environment
            self.directory = directory
            self.limits = limits
            self.settings = settings
        }
    }
}

/// How a process ended.
package enum ProcessEnd: Sendable, Hashable {
    /// It exited by itself with this code.
    case exited(code: Int32)
    /// This signal ended it.
    case signaled(Int32)
    /// It never ran, for the reason given.
    case notLaunched(String)
}

/// Why a process could not be started. When this is thrown, no part of it runs.
package struct LaunchError: Error, Sendable, CustomStringConvertible {
    /// What went wrong, for people.
    package let description: String
    /// The system's error number, when there is one.
    package let errorNumber: Int32?

    /// Whether this process, or the whole system, has too few file descriptors: nothing that the program could help.
    package var lacksDescriptors: Bool { errorNumber.map(FileDescriptors.isShortage) ?? false }

    package init(_ description: String, errorNumber: Int32? = nil) {
        self.description = errorNumber.map { "\(description): \(String(cString: strerror($0)))" } ?? description
        self.errorNumber = errorNumber
    }
}
