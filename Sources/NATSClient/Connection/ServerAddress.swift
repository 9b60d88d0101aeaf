import Foundation
import NIOCore

/// Where a server is: `nats://[user:password@]host[:port]`, `tls://…`, or just `host[:port]`; over WebSocket, such as
/// through an HTTP proxy, `ws://host[:port][/path]` or `wss://…`.
///
/// Servers of a cluster announce each other as `host:port` without a scheme, so that form is read too, IPv6 addresses
/// in brackets included.
public struct ServerAddress: Sendable, Hashable, CustomStringConvertible {
    /// The host's name or address, without brackets.
    public let host: String
    /// The port; by default 4222, over WebSocket 80, with TLS 443.
    public let port: Int
    /// Whether the address asks for TLS (`tls://`, `wss://`).
    public let usesTLS: Bool
    /// Whether NATS is spoken over a WebSocket (`ws://`, `wss://`).
    public let usesWebSocket: Bool
    /// The path of the WebSocket's request, with its query; `nil` for `/`, and without a WebSocket.
    public let path: String?
    /// The name that the server's certificate must have, when it is not the host's. A server announced by its IP
    /// address must have the name of the server that announced it, as in the Go client.
    let certificateName: String?
    /// The user in the address, or the token when it has no password.
    let user: String?
    /// The password in the address.
    let password: String?

    /// Whether the address holds a login.
    package var hasLogin: Bool { user != nil }

    /// The default port of NATS.
    public static let defaultPort = 4222

    /// Creates an address from its parts.
    public init(host: String, port: Int = ServerAddress.defaultPort, usesTLS: Bool = false) {
        self.host = host
        self.port = port
        self.usesTLS = usesTLS
        usesWebSocket = false
        path = nil
        certificateName = nil
        user = nil
        password = nil
    }

    /// Reads an address.
    ///
    /// In a login, every character that is not a letter or a digit must be percent-encoded: `%2C` for a comma, `%40`
    /// for `@` and `%2F` for a slash.
    ///
    /// - Throws: `invalidAddress`, naming the part that is wrong; no part of a login is ever shown.
    public init(_ text: String) throws(NATSError) {
        try self.init(text, within: text)
    }

    /// Reads one of several addresses.
    private init(_ address: String, within text: String) throws(NATSError) {
        var rest = address.trimmingCharacters(in: .whitespaces)[...]
        var usesTLS = false
        var usesWebSocket = false
        if let separator = rest.range(of: "://") {
            switch rest[..<separator.lowerBound].lowercased() {
            case "nats": break
            case "tls": usesTLS = true
            case "ws": usesWebSocket = true
            case "wss": (usesTLS, usesWebSocket) = (true, true)
            default:
                throw Self.invalid(
                    text,
                    "its scheme is unknown; use nats:// or tls://, or ws:// or wss:// for a WebSocket"
                )
            }
            rest = rest[separator.upperBound...]
        }
        var path: String?
        if let slash = rest.firstIndex(of: "/") {
            if rest[slash...] != "/" { path = String(rest[slash...]) }
            guard path == nil || usesWebSocket else {
                throw Self.invalid(text, "it has a path; a NATS server has none")
            }
            // Otherwise a login with a slash in it would become a host and a path, and be shown as such.
            guard path?.contains("@") != true else {
                throw Self.invalid(text, "there is an '@' behind its first slash")
            }
            guard path?.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) != false else {
                throw Self.invalid(text, "its path has characters that must be percent-encoded")
            }
            rest = rest[..<slash]
        }
        var user: String?
        var password: String?
        if let at = rest.lastIndex(of: "@") {
            let login = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            user = login[0].removingPercentEncoding ?? String(login[0])
            password = login.count > 1 ? login[1].removingPercentEncoding ?? String(login[1]) : nil
            rest = rest[rest.index(after: at)...]
        }
        let (host, port) = try Self.hostAndPort(
            rest,
            defaultPort: usesWebSocket ? (usesTLS ? 443 : 80) : Self.defaultPort,
            in: text
        )
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw Self.invalid(text, "it has no host, or one with white space in it; write it as nats://host:4222")
        }
        self.host = host
        self.port = port
        self.usesTLS = usesTLS
        self.usesWebSocket = usesWebSocket
        self.path = path
        certificateName = nil
        self.user = user
        self.password = password
    }

    /// Reads several addresses separated by commas.
    ///
    /// An address with a login begins with its scheme, unless it is the first: otherwise a comma in a login would split
    /// one address into two.
    ///
    /// - Throws: `invalidAddress` for the first that is wrong, or when there is none; no part of a login is ever shown.
    public static func list(_ text: String) throws(NATSError) -> [ServerAddress] {
        var addresses: [ServerAddress] = []
        let parts = text.split(separator: ",").filter { !$0.allSatisfy(\.isWhitespace) }
        for part in parts.dropFirst() where part.contains("@") && !part.contains("://") {
            throw invalid(text, "a part behind a comma has a login but no scheme")
        }
        for part in parts { addresses.append(try ServerAddress(String(part), within: text)) }
        guard !addresses.isEmpty else { throw invalid(text, "it is empty; write it as nats://host:4222") }
        return addresses
    }

    /// The address without its login, and without a query, which may hold one: `nats://host:port`.
    public var description: String {
        let scheme = usesWebSocket ? (usesTLS ? "wss" : "ws") : usesTLS ? "tls" : "nats"
        guard let path, let query = path.firstIndex(of: "?") else { return "\(scheme)://\(hostAndPort)\(path ?? "")" }
        return "\(scheme)://\(hostAndPort)\(path[..<query])?…"
    }

    /// The host and the port as in an address.
    var hostAndPort: String { "\(host.contains(":") ? "[\(host)]" : host):\(port)" }

    /// The address of another server of the same cluster, from what a server announces. It inherits the login and the
    /// scheme of the address that was given. An IP address also inherits the name for the certificate, because
    /// certificates rarely contain addresses.
    ///
    /// `nil` for a text that is no address, and always when the given address has a path. Such an address leads to a
    /// proxy, and the servers behind it cannot be reached at the addresses that they announce.
    func announced(_ text: String) -> ServerAddress? {
        guard path == nil, text.utf8.count <= Self.maximumAnnounced, let address = try? ServerAddress(text) else {
            return nil
        }
        return ServerAddress(self, host: address.host, port: address.port, usesTLS: usesTLS || address.usesTLS)
    }

    private init(_ given: ServerAddress, host: String, port: Int, usesTLS: Bool) {
        self.host = host
        self.port = port
        self.usesTLS = usesTLS
        usesWebSocket = given.usesWebSocket
        path = given.path
        let name = given.certificateName ?? (Self.isIPAddress(given.host) ? nil : given.host)
        certificateName = Self.isIPAddress(host) ? name : nil
        user = given.user
        password = given.password
    }

    /// In bytes. A host name has 253 characters at most.
    private static let maximumAnnounced = 300

    static func isIPAddress(_ host: String) -> Bool { (try? SocketAddress(ipAddress: host, port: 0)) != nil }

    private static func hostAndPort(
        _ rest: Substring,
        defaultPort: Int,
        in text: String
    ) throws(NATSError) -> (String, Int) {
        var host = rest
        var portText: Substring?
        if rest.hasPrefix("[") {
            guard let end = rest.firstIndex(of: "]") else {
                throw invalid(text, "the bracket of its address is not closed")
            }
            host = rest[rest.index(after: rest.startIndex)..<end]
            let after = rest[rest.index(after: end)...]
            guard after.isEmpty || after.hasPrefix(":") else { throw invalid(text, "something follows its bracket") }
            portText = after.isEmpty ? nil : after.dropFirst()
        } else if let colon = rest.lastIndex(of: ":") {
            host = rest[..<colon]
            portText = rest[rest.index(after: colon)...]
            guard !host.contains(":") else { throw invalid(text, "write an IPv6 address in brackets") }
        }
        guard let portText else { return (String(host), defaultPort) }
        guard let port = Int(portText), (1...65_535).contains(port) else {
            // An invalid port may be a password whose '@' and host are missing.
            throw invalid(text, "its port must be a number from 1 to 65535", isShown: false)
        }
        return (String(host), port)
    }

    /// - Parameters:
    ///   - text: all that was given; not shown when it may contain a login.
    ///   - isShown: whether it may be shown when nothing in it looks like a login.
    private static func invalid(_ text: String, _ why: String, isShown: Bool = true) -> NATSError {
        guard !text.contains("@") else {
            return NATSError(
                .invalidAddress,
                "a server address cannot be used (it is not shown, because it contains a login): \(why); "
                    + "in user, password and token, percent-encode every character that is not a letter or a digit "
                    + "(',' is %2C, '@' is %40, '/' is %2F)"
            )
        }
        let shown = isShown ? " \(text.debugDescription)" : ""
        return NATSError(.invalidAddress, "the server address\(shown) cannot be used: \(why)")
    }
}
