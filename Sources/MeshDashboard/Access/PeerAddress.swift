import NIOCore

/// Who is at the other end of a connection, as far as limits go: an IPv4 address, or the network (/64) of an IPv6
/// address, all of which one machine can have.
struct PeerAddress: Hashable, Sendable {
    private let text: String

    init(_ address: SocketAddress?) { self.init(address?.ipAddress ?? "") }

    /// - Parameter text: an address in digits.
    init(_ text: String) {
        if text.contains(".") {
            // Also that of an IPv4 client at a socket that takes both: `::ffff:192.0.2.1`.
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
