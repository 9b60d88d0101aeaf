#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Which proxy leads to a host, by the variables `http_proxy`, `https_proxy` and `no_proxy` and those in capitals.
///
/// - The variable in small letters counts first. An empty one says that there is no proxy.
/// - A proxy is `http://host:port`, with `user:password@` when it wants a login; the scheme may be left out.
/// - `no_proxy` is a list with commas: `example.org` stands for the host and all below it, as `.example.org` and
///   `*.example.org` do; `host:port` for one port only; `*` for all.
/// - This machine (`localhost`, `127.…`, `::1`) is never reached through a proxy.
/// - `HTTP_PROXY` does not count where `REQUEST_METHOD` is set: in a CGI program it is a header of the client.
struct ProxySettings: Sendable {
    /// A proxy.
    struct Proxy: Sendable, Hashable {
        let host: String
        let port: Int
        /// The login, as `user:password` in Base64.
        let login: Secret?
        /// Its host and port, for messages.
        var authority: String { "\(host):\(port)" }
    }

    private let plain: String
    private let secure: String
    private let exceptions: [Exception]

    private struct Exception: Sendable {
        let name: String
        let port: Int?
    }

    /// Reads the variables of an environment.
    init(environment: [String: String]) {
        let isCGI = environment["REQUEST_METHOD"] != nil
        plain = environment["http_proxy"] ?? (isCGI ? nil : environment["HTTP_PROXY"]) ?? ""
        secure = environment["https_proxy"] ?? environment["HTTPS_PROXY"] ?? ""
        let list = environment["no_proxy"] ?? environment["NO_PROXY"] ?? ""
        exceptions = list.split(whereSeparator: { $0 == "," || $0.isWhitespace }).map { Self.exception(String($0)) }
    }

    private static func exception(_ entry: String) -> Exception {
        var name = entry.lowercased()
        var port: Int?
        // An IPv6 address has more than one colon; with a port it stands in brackets.
        if let colon = name.lastIndex(of: ":"), name.firstIndex(of: ":") == colon || name[..<colon].hasSuffix("]"),
            let number = Int(name[name.index(after: colon)...])
        {
            port = number
            name = String(name[..<colon])
        }
        return Exception(name: bare(name.hasPrefix("*.") ? String(name.dropFirst(2)) : name), port: port)
    }

    /// A host without brackets, and without a dot at either end.
    private static func bare(_ host: String) -> String {
        var host = host[...]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        if host.hasPrefix(".") { host = host.dropFirst() }
        if host.hasSuffix(".") { host = host.dropLast() }
        return String(host)
    }

    /// The proxy for an address; `nil` when it is reached without one.
    ///
    /// - Throws: ``NotifierConfigurationError`` when the variable names no proxy that can be used.
    func proxy(for address: TargetAddress) throws(NotifierConfigurationError) -> Proxy? {
        let text = address.isSecure ? secure : plain
        let host = Self.bare(address.host)
        if text.isEmpty || host == "localhost" || host == "::1" || Self.isLoopback(host) { return nil }
        let isExcepted = exceptions.contains { exception in
            guard exception.port == nil || exception.port == address.port else { return false }
            return exception.name == "*" || exception.name == host
                || !exception.name.isEmpty && host.hasSuffix("." + exception.name)
        }
        if isExcepted { return nil }
        return try Self.proxy(text, variable: address.isSecure ? "https_proxy" : "http_proxy")
    }

    private static func isLoopback(_ host: String) -> Bool {
        host.wholeMatch(of: /127\.\d{1,3}\.\d{1,3}\.\d{1,3}/) != nil
    }

    private static func proxy(_ text: String, variable: String) throws(NotifierConfigurationError) -> Proxy {
        let whole = text.contains("://") ? text : "http://\(text)"
        guard let parts = URLComponents(string: whole), parts.scheme?.lowercased() == "http",
            let host = parts.host, !host.isEmpty, (1...65_535).contains(parts.port ?? 80)
        else {
            throw NotifierConfigurationError(
                "the variable \(variable) is no proxy that can be used; write it like http://host:port"
            )
        }
        var login: Secret?
        if let user = parts.user {
            login = Secret(Data("\(user):\(parts.password ?? "")".utf8).base64EncodedString())
        }
        return Proxy(host: bare(host), port: parts.port ?? 80, login: login)
    }
}
