import TestSupport

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// The few bytes of the NATS protocol that these tests speak: they need no client.
enum RawClient {
    /// The INFO line of the server at a port of loopback.
    static func greeting(port: Int, within milliseconds: Int = 5_000) async throws -> String {
        try await onThread { try Connection(port: port, milliseconds: milliseconds).line() }
    }

    /// Publishes a request and returns the payload of the answer.
    static func request(_ subject: String, _ payload: String, port: Int) async throws -> String {
        try await onThread {
            let connection = try Connection(port: port, milliseconds: 5_000)
            _ = try connection.line()
            try connection.send("CONNECT {\"verbose\":false}\r\nSUB inbox 1\r\n")
            try connection.send("PUB \(subject) inbox \(payload.utf8.count)\r\n\(payload)\r\nPING\r\n")
            while true {
                let line = try connection.line()
                if line.hasPrefix("MSG inbox") { return try connection.line() }
            }
        }
    }

    private static func onThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        try await Task.detached { try body() }.value
    }

    private final class Connection {
        private let socket: Int32
        private var received: [UInt8] = []

        init(port: Int, milliseconds: Int) throws {
            #if canImport(Glibc)
                let stream = Int32(SOCK_STREAM.rawValue)
            #else
                let stream = SOCK_STREAM
            #endif
            socket = Self.open(AF_INET, stream)
            var limit = timeval()
            limit.tv_sec = milliseconds / 1_000
            limit.tv_usec = .init(milliseconds % 1_000 * 1_000)
            setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(UInt16(port)).bigEndian
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            let size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, size) }
            }
            guard result == 0 else { throw TestSupportError("Cannot connect to port \(port): \(errno)") }
        }

        deinit { close(socket) }

        func send(_ text: String) throws {
            let bytes = Array(text.utf8)
            guard write(socket, bytes, bytes.count) == bytes.count else { throw TestSupportError("Cannot send") }
        }

        func line() throws -> String {
            while true {
                if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
                    let line = received[..<end].filter { $0 != UInt8(ascii: "\r") }
                    received.removeSubrange(...end)
                    return String(decoding: line, as: UTF8.self)
                }
                var chunk = [UInt8](repeating: 0, count: 4096)
                let count = read(socket, &chunk, chunk.count)
                guard count > 0 else { throw TestSupportError("The server said nothing in time") }
                received += chunk[..<count]
            }
        }

        private static func open(_ family: Int32, _ type: Int32) -> Int32 {
            #if canImport(Darwin)
                Darwin.socket(family, type, 0)
            #else
                Glibc.socket(family, type, 0)
            #endif
        }
    }
}
