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

/// A guard process that leads a process group. It kills the group on request and when this process ends, even by
/// `SIGKILL`. In the second case it also removes the program's directory, because this process no longer can.
///
/// The guard starts before the process that it guards, which joins its group. So that process never runs unguarded, and
/// the group's number stays reserved as long as the guard lives. On Linux, descendants in other groups or sessions are
/// found by a mark that they inherit: see ``GroupMark``.
final class GroupGuard: Sendable {
    private struct State {
        var group: pid_t?
        /// This process's end of the guard's input.
        var control: Int32?
        var isReleased = false
        /// Whether it has run.
        var hasBegun = false
        /// How many processes it has found and ended.
        var found = 0
    }

    /// What marks descendants.
    let mark: GroupMark
    /// How long `/bin/sh` may take to start.
    private static let startTimeout: Duration = .seconds(30)

    private let state = Mutex(State())
    private let ready = OneShot<LaunchError?>()
    private let ended = OneShot<Void>()

    /// The most bytes of what the guard says at its end: a number.
    private static let lastBytes = 32

    /// How long the guard searches for marked processes, in seconds.
    private static let searchSeconds = 5
    /// How long the guard may take to kill all processes: longer than it searches.
    static let sweepTimeout: Duration = .seconds(10)

    /// The guard's shell script: waits for a line or the end of its input, then kills, and says how many processes it
    /// has found. It ignores the signals that ask the group to end, because it must end last. The end of the input without
    /// a line means that this process has ended.
    ///
    /// Marked processes may start others meanwhile. So the guard first stops them, in rounds, until a round finds no new
    /// one. Then it kills them, until a round finds none that lives. Each round reads all of /proc, and then watches the
    /// processes that start, for those that end before a round comes to them.
    ///
    /// - A process chooses its name, which stands in its `stat`, and may hold line breaks and parentheses. What follows
    ///   the last parenthesis of the whole text is the kernel's.
    /// - A process whose first thread has ended is a zombie with more than one thread. It lives. A zombie with one thread
    ///   still has its limits, and cannot be killed any more.
    /// - Any user can read the limit of a process and take the same. It counts for processes of the program's user only.
    ///   The variable's name is a secret: it stands in no command line.
    /// - The group of a process is killed with it when its session is not the guard's: descendants have made such a session.
    private static let script = """
        trap '' HUP INT QUIT PIPE ALRM TERM USR1 USR2 TSTP TTIN TTOU
        directory= limit=$2 user=$3 seconds=$4 end= known= newest=
        echo ready
        read -r _ || directory=$1

        stat() {
            text= line=
            while read -r line || [ -n "$line" ]; do text="$text $line"; done <"/proc/$1/stat" || return 1
            case "$text" in *") "*) ;; *) return 1 ;; esac
            set -- ${text##*) }
            state=$1 group=$3 session=$4 threads=${18:-1}
        }
        is_users() {
            name=
            while read -r name uid _; do [ "$name" != Uid: ] || break; done <"/proc/$1/status"
            [ "$name" = Uid: ] && [ "$uid" = "$user" ]
        }
        has_limit() {
            while read -r max file locks value _; do
                [ "$max $file $locks" != "Max file locks" ] || { [ "$value" = "$limit" ]; return; }
            done <"/proc/$1/limits"
            return 1
        }
        marked() {
            printf '%s=\\n' "$MARK" | grep -lsF -f - /proc/[0-9]*/environ
            for file in $(grep -ls -- "^Max file locks  *$limit " /proc/[0-9]*/limits); do
                file=${file#/proc/}
                ! is_users "${file%/*}" || echo "/proc/$file"
            done
        }
        # Whether it lives, and is new when it is to be stopped.
        act() {
            [ "$2" != "$$" ] && stat "$2" || return 1
            [ "$session" = "$own" ] || [ "${group:-0}" -le 1 ] || kill "-$1" -- "-$group"
            kill "-$1" "$2"
            case "$state" in [ZX]) [ "$threads" -gt 1 ] || return 1 ;; esac
            [ "$1" = STOP ] || return 0
            case "$known " in *" $2 "*) return 1 ;; esac
            known="$known $2"
        }
        round() {
            found=
            for file in $(marked); do
                file=${file#/proc/}
                if act "$1" "${file%/*}"; then found=1; fi
            done
            tries=0
            while [ "$tries" -lt 100 ]; do
                tries=$((tries + 1)) last=$newest
                read -r _ _ _ _ newest </proc/loadavg || break
                [ "$newest" != "$last" ] && stat "$newest" || continue
                is_users "$newest" && has_limit "$newest" || continue
                [ "$session" = "$own" ] || [ "${group:-0}" -le 1 ] || kill -KILL -- "-$group"
                kill -KILL "$newest"
                found=1
            done
            [ -n "$found" ]
        }
        in_time() {
            read -r now _ </proc/uptime || return 1
            now=${now%.*}
            : "${end:=$((now + seconds))}"
            [ "$now" -lt "$end" ]
        }
        search() {
            stat "$$" || return
            own=$session
            while in_time && round STOP; do [ "$now" -lt "$((end - seconds / 2))" ] || break; done
            while round KILL && in_time; do :; done
        }
        search 2>/dev/null
        set -- $known
        echo "$#"
        [ -z "$directory" ] || rm -rf -- "$directory"
        kill -KILL 0
        """

    private init(mark: GroupMark) { self.mark = mark }

    /// Starts a guard and waits until it is ready.
    ///
    /// - Parameters:
    ///   - directory: The directory to remove when this process ends first; `nil` for none.
    ///   - user: The user whose processes it guards; `nil` for that of this process.
    /// - Throws: `LaunchError`.
    static func start(removing directory: String?, user: ProcessUser?) async throws(LaunchError) -> GroupGuard {
        try await start(mark: GroupMark(user: user?.id ?? getuid()), removing: directory)
    }

    private static func start(mark: GroupMark, removing directory: String?) async throws(LaunchError) -> GroupGuard {
        let groupGuard = GroupGuard(mark: mark)
        let sockets = try SocketPair()
        groupGuard.state.withLock { $0.control = sockets.own }
        // Not a child task: the guard lives longer than this call.
        Task.detached { await groupGuard.run(input: sockets.peer, directory) }
        // A cancelled caller does not leave a half-started guard behind.
        let outcome = await uncancelled { try? await groupGuard.ready.wait(atMost: startTimeout) }
        switch outcome {
        case .some(.none): return groupGuard
        case .some(.some(let error)): throw error
        case .none:
            groupGuard.release()
            throw LaunchError("the guard process did not start within \(startTimeout)")
        }
    }

    private func run(input: Int32, _ directory: String?) async {
        var options = PlatformOptions()
        options.processGroupID = 0
        let inherited = ProcessInfo.processInfo.environment["PATH"]
        // The system's own tools come first, before this process's `PATH`.
        let path = "/bin:/usr/bin" + (inherited.map { ":" + $0 } ?? "")
        let configuration = Configuration(
            executable: .name("sh"),
            arguments: [
                "-c", Self.script, "mesh-events-guard", directory ?? "", "\(mark.limit)", "\(mark.user)",
                "\(Self.searchSeconds)",
            ],
            // Nothing else: the guarded processes, which are of the same user, can read this environment. Every user can
            // read the arguments.
            environment: .custom(["PATH": path, "MARK": mark.variable]),
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
                        var last: [UInt8] = []
                        while let piece = try await output.next() {
                            piece.withUnsafeBytes { last.append(contentsOf: $0.prefix(Self.lastBytes - last.count)) }
                        }
                        noteFound(last)
                    }
                } catch {}
                end()
            }
        } catch {
            problem = LaunchError("the guard process (sh) did not start: \(error)")
        }
        end()
        ready.fulfil(problem)
        if state.withLock({ $0.hasBegun && !$0.isReleased }) { await sweep() }
        ended.fulfil(())
    }

    /// Has another guard kill the marked processes that a killed guard has left in other groups and sessions.
    private func sweep() async {
        let mark = mark
        let other = try? await DescriptorReserve.during(patience: Self.sweepTimeout) {
            () async throws(LaunchError) -> GroupGuard in
            try await Self.start(mark: mark, removing: nil)
        }
        guard let other else { return }
        other.release()
        await other.waitForEnd(atMost: Self.sweepTimeout)
    }

    private func began(_ pid: pid_t) {
        state.withLock { ($0.group, $0.hasBegun) = (pid, true) }
        ready.fulfil(nil)
    }

    private func noteFound(_ text: [UInt8]) {
        let line = text.prefix { $0 != UInt8(ascii: "\n") }
        guard let number = Int(String(decoding: line, as: UTF8.self)) else { return }
        state.withLock { $0.found = number }
    }

    /// How many processes it has found and ended, when it has ended; 0 where it does not search (not Linux).
    var found: Int { state.withLock { $0.found } }

    /// Kills the rest of the group. The guard is not reaped before this returns, so the group's number is still its
    /// own.
    private func end() {
        let control = state.withLock { state in
            if let group = state.group { kill(-group, SIGKILL) }
            state.group = nil
            return state.control.take()
        }
        if let control { close(control) }
    }

    /// The number of the group; `nil` when it has ended.
    var group: pid_t? { state.withLock { $0.group } }

    /// Whether the guard ended without a request, because another process killed it.
    var isLost: Bool { ended.value != nil && !state.withLock { $0.isReleased } }

    /// Sends a signal to every process of the group. The guard ignores signals that ask for an end, such as `SIGTERM`.
    func signal(_ signal: Int32) {
        state.withLock { state in
            if let group = state.group { kill(-group, signal) }
        }
    }

    /// Sends one process of the group a signal; does nothing when it has left the group or ended. The group's number is
    /// not reused while the guard lives, so a process that merely has the number of an ended one is not in the group.
    func signal(_ signal: Int32, to pid: pid_t) {
        state.withLock { state in
            if let group = state.group, getpgid(pid) == group { kill(pid, signal) }
        }
    }

    /// Makes the guard kill all processes and end; the directory stays. Returns at once.
    func release() {
        guard let control = takeControl() else { return }
        SocketPair.sendLine(control)
        close(control)
    }

    /// Makes the guard do what it does when this process ends: kill all processes, remove the directory, and end. Returns
    /// at once.
    ///
    /// - Returns: `false` when the guard was released before or has ended; then it does nothing.
    func abandon() -> Bool {
        guard let control = takeControl() else { return false }
        close(control)
        return true
    }

    private func takeControl() -> Int32? {
        state.withLock { state in
            if let group = state.group, state.control != nil {
                state.isReleased = true
                // A guard that was stopped (`SIGSTOP`) with its group would not read.
                kill(-group, SIGCONT)
            }
            return state.control.take()
        }
    }

    /// Waits until all processes have ended; kills the group itself when the guard does not within `timeout`, and then waits
    /// for at most as long again: that it has ended may never be known, for lack of file descriptors.
    func waitForEnd(atMost timeout: Duration) async {
        await uncancelled { [self] in
            guard (try? await ended.wait(atMost: timeout)) == nil else { return }
            signal(SIGKILL)
            _ = try? await ended.wait(atMost: timeout)
        }
    }
}

/// The two ends of a socket. A child inherits them only when they are passed to it. Unlike a pipe, writing to it when the
/// other end is closed causes no `SIGPIPE`.
struct SocketPair {
    let own: Int32
    let peer: Int32

    /// Makes a socket.
    ///
    /// - Throws: `LaunchError` when the process or the system has no file descriptor left.
    init() throws(LaunchError) {
        var ends: [Int32] = [-1, -1]
        #if canImport(Glibc)
            let type = Int32(SOCK_STREAM.rawValue)
        #else
            let type = SOCK_STREAM
        #endif
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw LaunchError("no socket could be made", errorNumber: errno)
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        #if canImport(Darwin)
            var isOn: Int32 = 1
            setsockopt(ends[0], SOL_SOCKET, SO_NOSIGPIPE, &isOn, socklen_t(MemoryLayout<Int32>.size))
        #endif
        (own, peer) = (ends[0], ends[1])
    }

    /// Sends a line break; does nothing when the other end is closed.
    static func sendLine(_ descriptor: Int32) {
        var byte = UInt8(ascii: "\n")
        #if canImport(Darwin)
            send(descriptor, &byte, 1, 0)
        #else
            send(descriptor, &byte, 1, Int32(MSG_NOSIGNAL))
        #endif
    }
}

/// Calls `kill` where a method of that name hides it.
func sendSignal(_ pid: pid_t, _ signal: Int32) -> Int32 { kill(pid, signal) }

/// The two ends of a pipe. A child inherits them only when they are passed to it.
struct DescriptorPair {
    let readEnd: Int32
    let writeEnd: Int32

    /// Makes a pipe.
    ///
    /// - Throws: `LaunchError` when the process or the system has no file descriptor left.
    init() throws(LaunchError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw LaunchError("no pipe could be made", errorNumber: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        readEnd = ends[0]
        writeEnd = ends[1]
    }

    /// Makes reading return at once when there is nothing to read.
    func setNonBlockingRead() { Self.setNonBlocking(readEnd) }

    /// Makes writing return at once when the pipe is full.
    func setNonBlockingWrite() { Self.setNonBlocking(writeEnd) }

    private static func setNonBlocking(_ end: Int32) { _ = fcntl(end, F_SETFL, fcntl(end, F_GETFL) | O_NONBLOCK) }
}

/// Wraps a raw value in the type that the context requires. This avoids a dependency on swift-system for two types.
func wrapped<Wrapper: RawRepresentable>(_ rawValue: Wrapper.RawValue) throws(LaunchError) -> Wrapper {
    guard let wrapper = Wrapper(rawValue: rawValue) else { throw LaunchError("\(rawValue) is no file descriptor") }
    return wrapper
}

/// The raw value of a wrapped value.
func unwrapped<Wrapper: RawRepresentable>(_ wrapper: Wrapper) -> Wrapper.RawValue { wrapper.rawValue }

/// A path in the type that the context requires.
func spelled<Path: ExpressibleByStringLiteral>(_ text: String) -> Path where Path.StringLiteralType == String {
    Path(stringLiteral: text)
}
