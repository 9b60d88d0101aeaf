import Logging
import MeshConcurrency
import ServiceNotification

extension MeshTool {
    // MARK: Whether it works

    /// Tells the node that the tool is ready: it emits `tool.ready`, and tools that wait for this one may start.
    ///
    /// The node listens when the tool's settings have `ready: notify` or a watchdog. Otherwise, and where the tool runs
    /// without a node, this does nothing, as ``alive()`` and ``status(_:)`` do, and the log says so once. It speaks the
    /// protocol of sd_notify, so that it works under systemd, too.
    public func ready() { notifier.send("READY=1") }

    /// Gives the node a sign of life. With a ``watchdog``, call it at least twice in that time, from the work itself: a tool
    /// that gives none for so long is ended and started again. Never blocks.
    public func alive() { notifier.send("WATCHDOG=1", waits: false) }

    /// Tells the node in a few words what the tool does; `mesh-events status NODE/TOOL` and the page show it, so it must hold
    /// no secret. Of a text with several lines, the first counts.
    public func status(_ text: String) {
        notifier.send("STATUS=" + (text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""))
    }
}

/// Speaks to the node, or to systemd, by the protocol of sd_notify.
final class NodeNotifier: Sendable {
    private let notifier: ServiceNotifier?
    private let logger: Logger
    private let hasComplained = Locked(false)

    /// - Parameter socket: the path of the socket, or a name after `@` for one without a file; `nil` when there is none.
    init(socket: String?, logger: Logger) {
        notifier = socket.map { ServiceNotifier(socket: $0) }
        self.logger = logger
    }

    /// Tells that the tool is about to end; says nothing when there is no socket.
    func stopping() {
        if notifier != nil { send("STOPPING=1", waits: false) }
    }

    /// Sends a message.
    ///
    /// - Parameter waits: whether it waits when the socket has no room.
    func send(_ message: String, waits: Bool = true) {
        let problem: String? = notifier.map { $0.send(message, waits: waits) } ?? "there is no NOTIFY_SOCKET"
        guard let problem else { return }
        let isFirst = hasComplained.withLock { hasComplained in
            defer { hasComplained = true }
            return !hasComplained
        }
        guard isFirst else { return }
        logger.notice(
            "the node does not hear whether this tool works (\(problem)); its settings need ready: notify or a watchdog"
        )
    }
}
