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

/// The leader of a process group, which ends the group when it is told to or when this process ends, `SIGKILL`
/// included.
///
/// It is there before the process that it guards, which joins its group: there is no moment at which that process runs
/// unguarded, and the group's number stays taken as long as the guard lives. What a process starts in a group or a
/// session of its own is found by a mark in its environment, on Linux: a variable with a name that only this group has.
final class GroupGuard: Sendable {
    private struct State {
        var group: pid_t?
        var writeEnd: Int32?
        var isReleased = false
    }

    /// The variable by which descendants are known; its value does not matter.
    let mark = "MESH_EVENTS_GROUP_\(UUID().uuidString.filter { $0 != "-" })"
    /// How long `/bin/sh` may take to start.
    private static let startTimeout: Duration = .seconds(30)

    private let state = Mutex(State())
    private let ready = OneShot<LaunchError?>()
    private let ended = OneShot<Void>()

    /// Waits for the end of its input, then kills. It ignores what the group is asked to end with: it goes last.
    ///
    /// The group is killed at once, as one; marked processes may start others while they are looked for.
    private static let script = """
        trap '' HUP INT QUIT PIPE ALRM TERM USR1 USR2 TSTP TTIN TTOU
        echo ready
        read -r _
        passes=0
        while [ "$passes" -lt 50 ]; do
            passes=$((passes + 1))
            found=
            for file in $(grep -lsF -- "$1=" /proc/[0-9]*/environ 2>/dev/null); do
                file=${file#/proc/}
                kill -KILL "${file%/environ}" 2>/dev/null && found=1
            done
            [ -n "$found" ] || break
        done
        kill -KILL 0
        """

    private init() {}

    /// Starts a guard and waits until it is on guard.
    ///
    /// - Throws: `LaunchError`.
    static func start() async throws(LaunchError) -> GroupGuard {
        let groupGuard = GroupGuard()
        let pipe = try DescriptorPair()
        groupGuard.state.withLock { $0.writeEnd = pipe.writeEnd }
        // Not a child task: the guard lives longer than this call.
        Task.detached { await groupGuard.run(input: pipe.readEnd) }
        // In a task of its own, so that a cancelled caller leaves no guard behind in the middle of its start.
        let outcome = await Task { try? await groupGuard.ready.wait(atMost: startTimeout) }.value
        switch outcome {
        case .some(.none): return groupGuard
        case .some(.some(let error)): throw error
        case .none:
            groupGuard.release()
            throw LaunchError("the guard process did not start within \(startTimeout)")
        }
    }

    private func run(input: Int32) async {
        var options = PlatformOptions()
        options.processGroupID = 0
        let inherited = ProcessInfo.processInfo.environment["PATH"]
        // The system's own tools, whatever our `PATH` says.
        let path = "/bin:/usr/bin" + (inherited.map { ":" + $0 } ?? "")
        let configuration = Configuration(
            executable: .name("sh"),
            arguments: ["-c", Self.script, "mesh-events-guard", mark],
            // No more: those it guards may read it, as processes of the same user.
            environment: .custom(["PATH": path]),
            platformOptions: options
        )
        var problem = LaunchError("the guard process ended at once")
        do {
            _ = try await Subprocess.run(
                configuration,
                input: .fileDescriptor(try wrapped(input), closeAfterSpawningProcess: true),
                output: .sequence,
                error: .discarded
            ) { execution in
                var output = execution.standardOutput.makeAsyncIterator()
                do {
                    if try await output.next() != nil {
                        began(execution.processIdentifier.value)
                        while try await output.next() != nil {}
                    }
                } catch {}
                end()
            }
        } catch {
            problem = LaunchError("the guard process (sh) did not start: \(error)")
        }
        end()
        ready.fulfil(problem)
        ended.fulfil(())
    }

    private func began(_ pid: pid_t) {
        state.withLock { $0.group = pid }
        ready.fulfil(nil)
    }

    /// Kills what is left. The guard is not reaped before this returns, so the group's number is still its own.
    private func end() {
        let writeEnd = state.withLock { state in
            if let group = state.group { kill(-group, SIGKILL) }
            state.group = nil
            return state.writeEnd.take()
        }
        if let writeEnd { close(writeEnd) }
    }

    /// The number of the group; `nil` when it has ended.
    var group: pid_t? { state.withLock { $0.group } }

    /// Whether it ended without being told to: something else killed it.
    var isLost: Bool { ended.value != nil && !state.withLock { $0.isReleased } }

    /// Sends a signal to every process of the group. The guard ignores those that ask for an end.
    func signal(_ signal: Int32) {
        state.withLock { state in
            if let group = state.group { kill(-group, signal) }
        }
    }

    /// Has the guard kill all and end; returns at once.
    func release() {
        let writeEnd = state.withLock { state in
            if let group = state.group {
                state.isReleased = true
                // A guard that was stopped with its group would not read.
                kill(-group, SIGCONT)
            }
            return state.writeEnd.take()
        }
        if let writeEnd { close(writeEnd) }
    }

    /// Waits until all are gone; kills the group itself when the guard does not within `timeout`.
    func waitForEnd(atMost timeout: Duration) async {
        await Task {
            guard (try? await ended.wait(atMost: timeout)) == nil else { return }
            signal(SIGKILL)
            try? await ended.wait()
        }.value
    }
}

/// `kill`, where a method of that name hides it.
func sendSignal(_ pid: pid_t, _ signal: Int32) -> Int32 { kill(pid, signal) }
