import Dispatch
import ProcessLaunch

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Starts a program with a mark and settings that `posix_spawn` does not have, and waits for its end.
///
/// swift-subprocess offers nothing between fork and exec, and limits that are set on a process from outside come too late:
/// the program runs already, and may have started others. So ProcessLaunch forks itself.
struct ProcessLauncher {
    let command: SupervisedProcess.Command
    let group: pid_t
    /// The limit that marks it and its descendants; see ``GroupMark``.
    let mark: UInt64
    /// The whole environment.
    let environment: [String: String]
    let standardOutput: Int32
    let standardError: Int32

    /// Starts the program; returns when the system has started it. The descriptors stay open.
    ///
    /// - Returns: the process id.
    /// - Throws: `LaunchError`.
    func launch() async throws(LaunchError) -> pid_t {
        // On a thread of its own: entering a directory of a server and reading a program from it may take long.
        let result: Result<pid_t, LaunchError> = await withCheckedContinuation { continuation in
            DispatchQueue(label: "mesh-events.process.launch").async { continuation.resume(returning: fork()) }
        }
        return try result.get()
    }

    private func fork() -> Result<pid_t, LaunchError> {
        let settings = command.settings
        var limits: [process_launch_limit] = []
        for limit in settings.limits {
            let resource = process_launch_resource(limit.name)
            guard resource >= 0 else {
                return .failure(LaunchError("this system has no limit named \(limit.name)"))
            }
            limits.append(
                process_launch_limit(
                    resource: resource,
                    value: limit.value ?? 0,
                    is_unlimited: limit.value == nil ? 1 : 0
                )
            )
        }
        let arguments = CStrings([command.executable] + command.arguments)
        let variables = CStrings(environment.map { "\($0.key)=\($0.value)" })
        let (path, directory) = (CStrings([command.executable]), CStrings(command.directory.map { [$0] } ?? []))
        let groups = settings.user?.groups.map { gid_t($0) } ?? []
        var failure = process_launch_failure()
        let pid = settings.cpus.withUnsafeBufferPointer { cpus in
            limits.withUnsafeBufferPointer { limits in
                groups.withUnsafeBufferPointer { groups in
                    var launch = process_launch()
                    launch.path = UnsafePointer(path.pointers[0])
                    launch.arguments = UnsafePointer(arguments.pointers)
                    launch.environment = UnsafePointer(variables.pointers)
                    launch.directory = UnsafePointer(directory.pointers[0])
                    (launch.standard_output, launch.standard_error) = (standardOutput, standardError)
                    launch.group = group
                    if let umask = settings.umask { (launch.sets_umask, launch.umask) = (1, mode_t(umask)) }
                    if let nice = settings.nice { (launch.sets_nice, launch.nice) = (1, nice) }
                    (launch.cpus, launch.cpu_count) = (cpus.baseAddress, cpus.count)
                    (launch.limits, launch.limit_count) = (limits.baseAddress, limits.count)
                    launch.mark = mark
                    // A process of this user cannot change its groups, and has nothing to change.
                    if let user = settings.user, !user.isCurrent {
                        (launch.sets_user, launch.user, launch.group_id) = (1, uid_t(user.id), gid_t(user.group))
                        (launch.groups, launch.group_count) = (groups.baseAddress, groups.count)
                    }
                    return process_launch(&launch, &failure)
                }
            }
        }
        return pid > 0 ? .success(pid) : .failure(error(failure))
    }

    private func error(_ failure: process_launch_failure) -> LaunchError {
        let settings = command.settings
        let who = settings.user.map { " as user \($0.name)" } ?? ""
        let reason = String(cString: strerror(failure.error))
        switch failure.step {
        case process_launch_exec:
            return LaunchError("the system did not start it\(who)", errorNumber: failure.error)
        case process_launch_directory:
            let directory = command.directory ?? "."
            return LaunchError("its working directory \(directory) cannot be entered\(who): \(reason)")
        case process_launch_limit:
            let limit = settings.limits[min(max(0, Int(failure.index)), settings.limits.count - 1)]
            return LaunchError(
                "its limit \(limit.name) cannot be set to \(limit.value.map(String.init) ?? "unlimited"): \(reason); "
                    + "only root, or a node with CAP_SYS_RESOURCE, may raise one above the node's own (ulimit -H)"
            )
        case process_launch_nice:
            return LaunchError(
                "its nice value cannot be set to \(settings.nice ?? 0): \(reason); only root may lower that of its node"
            )
        case process_launch_cpus:
            return LaunchError("it cannot run on these processors only: \(reason); this machine may have none of them")
        case process_launch_user:
            return LaunchError(
                "it cannot run\(who): \(reason); only a node that runs as root starts tools as other users"
            )
        default:
            return LaunchError("the system did not start it", errorNumber: failure.error)
        }
    }

    /// Waits for the end of a process that was launched here, and reaps it.
    static func end(of pid: pid_t) async -> ProcessEnd {
        await withCheckedContinuation { continuation in
            let queue = DispatchQueue(label: "mesh-events.process.end")
            #if canImport(Darwin)
                let source = DispatchSource.makeProcessSource(identifier: pid, eventMask: .exit, queue: queue)
                let finish: @Sendable () -> Void = {}
            #else
                let descriptor = process_launch_end_descriptor(pid)
                guard descriptor >= 0 else {
                    // A kernel before 5.3, or no free descriptor: the thread waits.
                    queue.async { continuation.resume(returning: reap(pid)) }
                    return
                }
                let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
                let finish: @Sendable () -> Void = { close(descriptor) }
            #endif
            // The cancellation handler keeps the source until it has run.
            source.setEventHandler { source.cancel() }
            source.setCancelHandler {
                finish()
                continuation.resume(returning: reap(pid))
            }
            source.activate()
        }
    }

    private static func reap(_ pid: pid_t) -> ProcessEnd {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 {
            guard errno == EINTR else { return .signaled(SIGKILL) }
        }
        let signal = status & 0x7F
        return signal == 0 ? .exited(code: (status >> 8) & 0xFF) : .signaled(signal)
    }
}

/// An array of C strings that ends with a null pointer.
private final class CStrings {
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    init(_ strings: [String]) {
        count = strings.count
        pointers = .allocate(capacity: count + 1)
        for (index, string) in strings.enumerated() { (pointers + index).initialize(to: strdup(string)) }
        (pointers + count).initialize(to: nil)
    }

    deinit {
        for index in 0..<count { free(pointers[index]) }
        pointers.deallocate()
    }
}
