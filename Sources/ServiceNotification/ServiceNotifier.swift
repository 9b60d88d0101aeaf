import MeshConcurrency

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Speaks to what runs this process as a service, by the protocol of sd_notify: to systemd, or to a node of the mesh.
package final class ServiceNotifier: Sendable {
    /// The longest message, in bytes; readers ignore longer ones.
    package static let maximumBytes = 4_096
    /// How long a message may wait for room in the reader's socket, in seconds.
    private static let patience = 2

    private let address: NotifyAddress?
    private let descriptor = Locked<Int32?>(nil)

    /// Sends nothing yet.
    ///
    /// - Parameter socket: what stands in `NOTIFY_SOCKET`: a path, or a name after `@` for a socket without a file.
    package init(socket: String) { address = NotifyAddress(socket) }

    deinit {
        guard let descriptor = descriptor.withLock({ $0 }) else { return }
        close(descriptor)
    }

    /// Sends a message: lines of `NAME=value`. What is longer than ``maximumBytes`` is cut.
    ///
    /// - Parameters:
    ///   - message: the message.
    ///   - waits: whether it waits when the reader's socket has no room, for two seconds at most. Otherwise it is lost then,
    ///     as one sign of life of many may be.
    /// - Returns: what is wrong; `nil` when it was sent, or lost as above.
    package func send(_ message: String, waits: Bool = true) -> String? {
        guard let address else { return "NOTIFY_SOCKET \(NotifyAddress.problem)" }
        let descriptor = descriptor.withLock { descriptor in
            descriptor = descriptor ?? Self.makeSocket()
            return descriptor
        }
        guard let descriptor else { return "no socket could be made" }
        let bytes = Array(message.utf8.prefix(Self.maximumBytes))
        guard let problem = address.sendDatagram(bytes, from: descriptor, waits: waits) else { return nil }
        return waits || problem != EAGAIN ? String(cString: strerror(problem)) : nil
    }

    private static func makeSocket() -> Int32? {
        guard let descriptor = NotifyAddress.makeSocket() else { return nil }
        var time = timeval()
        time.tv_sec = .init(patience)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        return descriptor
    }
}
