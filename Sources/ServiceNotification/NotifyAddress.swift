#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Where the datagrams of sd_notify go: the path of a socket, or a name after `@` for one without a file, which only Linux has.
package struct NotifyAddress: Sendable {
    /// What is wrong with an address that is none, as the end of a sentence that begins with what has it.
    package static let problem = "is neither a path nor a name after @, or too long"

    private let text: String

    /// Reads what stands in `NOTIFY_SOCKET`.
    ///
    /// - Returns: `nil` when it is no address, or longer than the system's addresses.
    package init?(_ text: String) {
        // With the zero at its end: 104 bytes on macOS, 108 on Linux.
        let capacity = MemoryLayout.size(ofValue: sockaddr_un().sun_path)
        guard text.hasPrefix("/") || text.hasPrefix("@"), text.utf8.count < capacity, !text.utf8.contains(0) else {
            return nil
        }
        self.text = text
    }

    /// Makes a socket for datagrams, which no child inherits.
    ///
    /// - Returns: `nil` when the system makes none; `errno` says why.
    package static func makeSocket() -> Int32? {
        #if canImport(Glibc)
            let kind = Int32(SOCK_DGRAM.rawValue)
        #else
            let kind = SOCK_DGRAM
        #endif
        let descriptor = socket(AF_UNIX, kind, 0)
        guard descriptor >= 0 else { return nil }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        return descriptor
    }

    /// Gives a socket this address.
    ///
    /// - Returns: the system's error number; `nil` when it has the address.
    package func bindSocket(_ descriptor: Int32) -> Int32? { withAddress { Int(bind(descriptor, $0, $1)) } }

    /// Sends a datagram to this address.
    ///
    /// - Parameters:
    ///   - bytes: the datagram.
    ///   - descriptor: the socket that it is sent from.
    ///   - waits: whether to wait, as long as the socket's own limit says, while there is no room.
    /// - Returns: the system's error number; `nil` when it was sent.
    package func sendDatagram(_ bytes: [UInt8], from descriptor: Int32, waits: Bool) -> Int32? {
        withAddress { sendto(descriptor, bytes, bytes.count, waits ? 0 : Int32(MSG_DONTWAIT), $0, $1) }
    }

    private func withAddress(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int) -> Int32? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let isAbstract = text.hasPrefix("@")
        withUnsafeMutableBytes(of: &address.sun_path) { field in
            field.copyBytes(from: text.utf8)
            if isAbstract { field[0] = 0 }
        }
        // The name of one without a file ends where its length says, a path with a zero.
        let length = text.utf8.count + (isAbstract ? 0 : 1)
        let size = socklen_t((MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 0) + length)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, size) < 0 ? errno : nil }
        }
    }
}
