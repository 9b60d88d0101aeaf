import Foundation
import MeshConcurrency
import MeshSupervision
import ServiceNotification

/// The manager of services that runs this process, systemd mostly, and wants to be told how it is: see sd_notify(3).
///
/// Where there is none, it is told nothing.
final class ServiceManager: Sendable {
    /// The shortest time between two lines about the state.
    private static let pause: Duration = .seconds(1)

    private let notifier: ServiceNotifier?
    private let watchdog: Duration?
    private let hasComplained = Locked(false)
    private let changes: AsyncStream<Void>
    private let change: AsyncStream<Void>.Continuation

    /// - Parameter variables: says where it hears, and whether it wants signs of life.
    init(_ variables: NotifyVariables) {
        notifier = variables.socket.map { ServiceNotifier(socket: $0) }
        // Signs of life more often than that would be all that it does.
        watchdog = variables.watchdog.map { max($0, .milliseconds(100)) }
        (changes, change) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// The one of this process's environment, from which its variables are removed: no tool and no server of this process may
    /// speak in its name. To be called before others read the environment.
    static func ofThisProcess() -> ServiceManager {
        let variables = NotifyVariables(ProcessInfo.processInfo.environment)
        for name in NotifyVariables.names { unsetenv(name) }
        return ServiceManager(variables)
    }

    /// Whether there is one.
    var isThere: Bool { notifier != nil }

    // MARK: What it is told

    /// Tells that the node has joined and starts its tools.
    func ready() {
        send("READY=1")
        changed()
    }

    /// Tells that settings are about to be read again; ``ready()`` tells the end of that.
    func reloading() {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        send("RELOADING=1\nMONOTONIC_USEC=\(Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)")
    }

    /// Tells that the node is about to leave.
    func stopping() { send("STOPPING=1") }

    /// The state may have changed.
    func changed() { change.yield() }

    /// Tells of the state and of changes to it in a line, and gives signs of life, until the task is cancelled.
    ///
    /// - Parameter state: the line. It is asked for before each sign of life, too: where it cannot be made, the node hangs.
    func report(_ state: @escaping @Sendable () -> String) async {
        guard isThere else { return }
        await withDiscardingTaskGroup { group in
            group.addTask { await self.reportState(state) }
            if let watchdog {
                group.addTask {
                    repeat {
                        _ = state()
                        self.send("WATCHDOG=1", waits: false)
                    } while (try? await Task.sleep(for: watchdog / 2)) != nil
                }
            }
        }
    }

    private func reportState(_ state: @Sendable () -> String) async {
        var last: String?
        for await _ in changes {
            let line = state()
            if line != last { send("STATUS=\(line)") }
            last = line
            guard (try? await Task.sleep(for: Self.pause)) != nil else { return }
        }
    }

    private func send(_ message: String, waits: Bool = true) {
        guard let problem = notifier?.send(message, waits: waits) else { return }
        let isFirst = hasComplained.withLock { hasComplained in
            defer { hasComplained = true }
            return !hasComplained
        }
        if isFirst { Diagnostics.say("the manager of services does not hear how this node is: \(problem)") }
    }

    // MARK: The line

    /// A node and its tools in a line: `pi: 3 tools running, 1 failed`.
    static func line(node: String, _ states: [ToolStatus.State]) -> String {
        let name = SafeText.escaped(node)
        guard !states.isEmpty else { return "\(name): no tools" }
        let running = states.count { $0 == .running }
        let others: [(ToolStatus.State, String)] = [
            (.failed, "failed"), (.backingOff, "backing off"), (.starting, "starting"), (.stopping, "stopping"),
            (.stopped, "stopped"), (.installed, "not started"),
        ]
        let rest = others.compactMap { state, word in
            let count = states.count { $0 == state }
            return count > 0 ? "\(count) \(word)" : nil
        }
        return (["\(name): \(running) \(running == 1 ? "tool" : "tools") running"] + rest).joined(separator: ", ")
    }
}
