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
#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A child process that ends when this process ends, even by `SIGKILL`.
///
/// The child has a session of its own, so that a Ctrl-C at the terminal does not reach it. First `/bin/sh` starts a
/// guard in that session, then it becomes the program. The guard waits for the end of a pipe whose other end only this
/// process holds, and then kills the program. The system closes this process's end even when this process is killed.
/// (Linux's `PR_SET_PDEATHSIG` is no substitute: it fires when the *thread* that started the child ends.)
///
/// Only the guard holds the child's standard output. When that ends, the guard has ended; the program is then killed at
/// once, because without a guard it might outlive this process.
package final class GuardedProcess: Sendable {
    private enum State {
        case launching
        case running(pid_t)
        case ended
    }

    private let state = Mutex<State>(.launching)
    private let launched = OneShot<Void>()
    private let ended = OneShot<ProcessEnd>()

    /// The shell script of guard and program. `$$` is the program's process id and process group: the system does not
    /// reuse the number while the guard is in the group. The guard also removes the program's directory, because this
    /// process no longer can.
    private static let script = """
        exec 3<&0 </dev/null 2>>"$1"
        ( read -r _ <&3; kill -KILL "$$"; rm -rf -- "$2"; kill -KILL 0 ) &
        shift 2
        exec "$@" 3<&- >&2
        """

    /// Starts a program and its guard.
    ///
    /// - Parameters:
    ///   - command: The path of the program and its arguments.
    ///   - log: A file to which the program's output is appended.
    ///   - directory: A directory that the guard removes when this process dies first.
    /// - Throws: `CancellationError` when the calling task is cancelled; the program is killed then.
    package static func launch(_ command: [String], log: String, directory: String) async throws -> GuardedProcess {
        let process = GuardedProcess()
        var options = PlatformOptions()
        options.createSession = true
        // The system's own `sh` and `rm` come first, before this process's `PATH`.
        let path = "/bin:/usr/bin:" + (ProcessInfo.processInfo.environment["PATH"] ?? "")
        let configuration = Configuration(
            executable: .name("sh"),
            arguments: Arguments(["-c", script, "nats-server-guard", log, directory] + command),
            environment: .inherit.updating(["PATH": path]),
            platformOptions: options
        )
        // Not a child task: the process lives longer than this call. `signal` and the guard end it.
        Task.detached { await process.run(configuration) }
        do {
            try await process.launched.wait()
        } catch {
            process.signal(SIGKILL)
            throw error
        }
        return process
    }

    private func run(_ configuration: Subprocess.Configuration) async {
        let reason: ProcessEnd
        do {
            let result = try await Subprocess.run(
                configuration,
                input: .inputWriter,
                output: .sequence,
                error: .discarded
            ) { execution in
                began(execution.processIdentifier.value)
                // Ends with the guard or with the program, whichever ends first; then the other one is killed.
                do { for try await _ in execution.standardOutput {} } catch {}
                end()
            }
            reason =
                switch result.terminationStatus {
                case .exited(let code): .exited(code: code)
                case .signaled(let signal): .signaled(signal)
                }
        } catch {
            end()
            reason = .notLaunched("\(error)")
        }
        ended.fulfil(reason)
        launched.fulfil(())
    }

    private func began(_ pid: pid_t) {
        let killedBefore = state.withLock { state in
            if case .ended = state { return true }
            state = .running(pid)
            return false
        }
        if killedBefore { kill(-pid, SIGKILL) }
        launched.fulfil(())
    }

    /// Kills the rest of the group. The program is not reaped before this returns, so the number is still its own.
    private func end() {
        state.withLock { state in
            if case .running(let pid) = state { kill(-pid, SIGKILL) }
            state = .ended
        }
    }

    /// The program's process id; `nil` when it has ended.
    package var pid: Int32? {
        state.withLock { state in
            if case .running(let pid) = state { pid } else { nil }
        }
    }

    /// Sends the program a signal; does nothing when it has ended.
    package func signal(_ signal: Int32) {
        state.withLock { state in
            switch state {
            case .running(let pid): kill(signal == SIGKILL ? -pid : pid, signal)
            case .launching: if signal == SIGKILL { state = .ended }
            case .ended: break
            }
        }
    }

    /// How it ended; `nil` while it runs.
    package var reason: ProcessEnd? { ended.value }

    /// Waits until it has ended, and its guard with it.
    ///
    /// - Throws: `CancellationError`.
    package func waitForEnd() async throws -> ProcessEnd { try await ended.wait() }

    /// Waits until it has ended, for at most `timeout`; `nil` when the time is up.
    package func waitForEnd(atMost timeout: Duration) async throws -> ProcessEnd? {
        try await ended.wait(atMost: timeout)
    }
}
