import Dispatch

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

/// The INFO line with which a server greets every client.
struct ServerGreeting: Decodable, Sendable {
    var version: String
    var jetstream: Bool?

    /// Connects and reads the greeting, in at most a quarter of a second.
    ///
    /// - Returns: `nil` when there is none (yet).
    static func read(host: String, port: Int) async -> ServerGreeting? {
        await withCheckedContinuation { continuation in
            // The socket calls block, and must not block the threads of Swift's tasks.
            DispatchQueue.global().async {
                continuation.resume(returning: line(host: host, port: port).flatMap(parse))
            }
        }
    }

    static func parse(_ line: String) -> ServerGreeting? {
        guard line.hasPrefix("INFO ") else { return nil }
        return try? JSONDecoder().decode(ServerGreeting.self, from: Data(line.dropFirst(5).utf8))
    }

    private static func line(host: String, port: Int) -> String? {
        var hints = addrinfo()
        #if canImport(Glibc)
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        #else
            hints.ai_socktype = SOCK_STREAM
        #endif
        var found: UnsafeMutablePointer<addrinfo>?
        // A server that listens on all addresses listens on loopback too.
        let name = host == "0.0.0.0" ? "127.0.0.1" : host == "::" ? "::1" : host
        guard getaddrinfo(name, String(port), &hints, &found) == 0, let address = found?.pointee else { return nil }
        defer { freeaddrinfo(found) }

        let socket = socket(address.ai_family, address.ai_socktype, address.ai_protocol)
        guard socket >= 0 else { return nil }
        defer { close(socket) }
        _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
        var limit = timeval(tv_sec: 0, tv_usec: 250_000)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(socket, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        guard connect(socket, address.ai_addr, address.ai_addrlen) == 0 else { return nil }

        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while !bytes.contains(UInt8(ascii: "\n")), bytes.count < 65_536 {
            let count = recv(socket, &chunk, chunk.count, 0)
            guard count > 0 else { return nil }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }
}
