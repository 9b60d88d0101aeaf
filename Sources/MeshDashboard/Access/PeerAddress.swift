import NIOCore

/// A client's address for limits: an IPv4 address, or the /64 network of an IPv6 address, because one machine can use
/// all addresses of such a network.
struct PeerAddress: Hashable, Sendable {
    private let text: String

    init(_ address: SocketAddress?) { self.init(address?.ipAddress ?? "") }

    /// Takes an address.
    ///
    /// - Parameter text: a numeric IP address.
    init(_ text: String) {
        if text.contains(".") {
            // Includes an IPv4 client of a dual-stack socket: `::ffff:192.0.2.1`.
            self.text = text.split(separator: ":").last.map(String.init) ?? text
        } else if text.contains(":") {
            let address = text.prefix { $0 != "%" }
            let halves = address.split(separator: "::", maxSplits: 1, omittingEmptySubsequences: false)
            var groups = halves[0].split(separator: ":").map(String.init)
            if halves.count == 2 {
                let last = halves[1].split(separator: ":").map(String.init)
                groups += Array(repeating: "0", count: max(0, 8 - groups.count - last.count)) + last
            }
            self.text = groups.prefix(4).joined(separator: ":")
        } else {
            self.text = text
        }
    }
}
