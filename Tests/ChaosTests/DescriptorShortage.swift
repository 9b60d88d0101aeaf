import Foundation
import TestSupport

/// Takes the descriptors of another process away, and fills what it has left with connections to it.
final class DescriptorShortage {
    private let pid: Int32
    private let port: Int
    private var sockets: [Int32] = []

    /// Leaves the process `spare` descriptors more than it has open. Linux only.
    ///
    /// - Throws: `TestSupportError` when the system refuses.
    init(of pid: Int32, listeningOn port: Int, spare: Int) throws {
        self.pid = pid
        self.port = port
        try Self.limit(pid, to: "\(try ProcessUse(of: pid).descriptors + spare):")
    }

    deinit { end() }

    /// Connects so many times, and says nothing. The system takes more connections than the process can accept.
    ///
    /// - Throws: `TestSupportError` when the system refuses.
    func connect(_ count: Int) throws {
        for _ in 0..<count {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard descriptor >= 0 else { throw Self.refused("make a socket") }
            sockets.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(UInt16(port).bigEndian)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            let result = withUnsafeBytes(of: &address) { bytes in
                Glibc.connect(
                    descriptor,
                    bytes.assumingMemoryBound(to: sockaddr.self).baseAddress,
                    socklen_t(bytes.count)
                )
            }
            guard result == 0 else { throw Self.refused("connect to port \(port)") }
        }
    }

    /// Hangs up, and gives the process descriptors again. Harmless when repeated.
    func end() {
        for descriptor in sockets { close(descriptor) }
        sockets = []
        try? Self.limit(pid, to: "1024:")
    }

    /// Sets the soft limit. Swift does not see the function `prlimit`; util-linux has a program of that name.
    private static func limit(_ pid: Int32, to limit: String) throws {
        try SpawnedProcess.run("/usr/bin/prlimit", ["--pid", "\(pid)", "--nofile=\(limit)"])
    }

    private static func refused(_ what: String) -> TestSupportError {
        TestSupportError("cannot \(what): \(String(cString: strerror(errno)))")
    }
}
