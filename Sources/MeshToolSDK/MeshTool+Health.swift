import Logging
import MeshConcurrency

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

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
    private struct State {
        var descriptor: Int32?
        var hasComplained = false
    }

    /// How long a message may wait for room in the node's socket, in seconds.
    private static let patience = 2
    /// The longest message, in bytes; readers ignore longer ones.
    private static let maximumBytes = 4_096

    private let address: String?
    private let logger: Logger
    private let state = Locked(State())

    /// - Parameter socket: the path of the socket, or a name after `@` for one without a file; `nil` when there is none.
    init(socket: String?, logger: Logger) {
        address = socket
        self.logger = logger
    }

    deinit {
        guard let descriptor = state.withLock({ $0.descriptor }) else { return }
        close(descriptor)
    }

    /// Tells that the tool is about to end; says nothing when there is no socket.
    func stopping() {
        if address != nil { send("STOPPING=1", waits: false) }
    }

    /// Sends a message.
    ///
    /// - Parameter waits: whether it waits when the socket has no room.
    func send(_ message: String, waits: Bool = true) {
        let bytes = Array(message.utf8.prefix(Self.maximumBytes))
        guard let problem = address.map({ send(bytes, to: $0, waits) }) ?? "there is no NOTIFY_SOCKET" else { return }
        let isFirst = state.withLock { state in
            defer { state.hasComplained = true }
            return !state.hasComplained
        }
        guard isFirst else { return }
        logger.notice(
            "the node does not hear whether this tool works (\(problem)); its settings need ready: notify or a watchdog"
        )
    }

    /// - Returns: what is wrong; `nil` when it was sent, or is one sign of life of many.
    private func send(_ bytes: [UInt8], to address: String, _ waits: Bool) -> String? {
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        let isAbstract = address.hasPrefix("@")
        let length = withUnsafeMutableBytes(of: &name.sun_path) { field -> Int? in
            guard address.utf8.count < field.count, isAbstract || address.hasPrefix("/") else { return nil }
            field.copyBytes(from: address.utf8)
            if isAbstract { field[0] = 0 }
            // The name of one without a file ends where its length says, a path with a zero.
            return address.utf8.count + (isAbstract ? 0 : 1)
        }
        guard let length else { return "NOTIFY_SOCKET is neither a path nor a name after @, or too long" }
        let descriptor = state.withLock { state in
            state.descriptor = state.descriptor ?? Self.makeSocket()
            return state.descriptor
        }
        guard let descriptor else { return "no socket could be made" }
        let size = socklen_t(MemoryLayout<sockaddr_un>.offset(of: \.sun_path).map { $0 + length } ?? 0)
        let sent = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, waits ? 0 : Int32(MSG_DONTWAIT), $0, size)
            }
        }
        guard sent < 0, waits || errno != EAGAIN else { return nil }
        return String(cString: strerror(errno))
    }

    private static func makeSocket() -> Int32? {
        #if canImport(Glibc)
            let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        #else
            let descriptor = socket(AF_UNIX, SOCK_DGRAM, 0)
        #endif
        guard descriptor >= 0 else { return nil }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var time = timeval()
        time.tv_sec = .init(patience)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        return descriptor
    }
}
