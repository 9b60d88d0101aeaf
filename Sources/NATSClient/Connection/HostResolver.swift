import NIOCore
import NIOPosix

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Finds every address of a host, for one attempt to connect.
///
/// All addresses are tried in turn until one accepts. They are shuffled, so that the clients of a name with several
/// servers spread over them. An address at which the attempt before has failed comes last: a server that accepts
/// connections and then says nothing must not hide the others.
struct HostResolver: Resolver, Sendable {
    let eventLoop: any EventLoop
    /// Whether the addresses are shuffled; if not, they are tried in the system's order (RFC 6724).
    let shuffles: Bool
    /// The address that comes last, if it is one of them.
    let last: SocketAddress?
    /// Asks the system; blocks.
    var lookUp: @Sendable (_ host: String, _ port: Int) -> [SocketAddress] = Self.systemAddresses

    /// All addresses, of both families, in the order in which they are to be tried.
    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        if let address = try? SocketAddress(ipAddress: host, port: port) {
            return eventLoop.makeSucceededFuture([address])
        }
        return NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) {
            order(lookUp(host, port))
        }
    }

    /// None: the other query answers with these, too.
    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        eventLoop.makeSucceededFuture([])
    }

    /// The system's query cannot be cancelled; its answer is dropped.
    func cancelQueries() {}

    /// The order in which addresses are tried.
    func order(_ addresses: [SocketAddress]) -> [SocketAddress] {
        let addresses = shuffles ? addresses.shuffled() : addresses
        return addresses.filter { $0 != last } + addresses.filter { $0 == last }
    }

    /// The most addresses of a name that are tried.
    private static let maximumAddresses = 64

    private static func systemAddresses(_ host: String, _ port: Int) -> [SocketAddress] {
        var hints = addrinfo()
        #if canImport(Glibc)
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        #else
            hints.ai_socktype = SOCK_STREAM
        #endif
        var first: UnsafeMutablePointer<addrinfo>?
        // Without an address, the attempt fails with the host's name.
        guard getaddrinfo(host, String(port), &hints, &first) == 0 else { return [] }
        defer { if let first { freeaddrinfo(first) } }
        var addresses: [SocketAddress] = []
        var next = first
        while let entry = next, addresses.count < maximumAddresses {
            next = entry.pointee.ai_next
            guard let pointer = entry.pointee.ai_addr,
                let address = address(at: pointer, length: Int(entry.pointee.ai_addrlen), host),
                !addresses.contains(address)
            else { continue }
            addresses.append(address)
        }
        return addresses
    }

    private static func address(
        at pointer: UnsafeMutablePointer<sockaddr>,
        length: Int,
        _ host: String
    ) -> SocketAddress? {
        let bytes = UnsafeRawPointer(pointer)
        switch pointer.pointee.sa_family {
        case sa_family_t(AF_INET) where length >= MemoryLayout<sockaddr_in>.size:
            return SocketAddress(bytes.loadUnaligned(as: sockaddr_in.self), host: host)
        case sa_family_t(AF_INET6) where length >= MemoryLayout<sockaddr_in6>.size:
            return SocketAddress(bytes.loadUnaligned(as: sockaddr_in6.self), host: host)
        default: return nil
        }
    }
}
