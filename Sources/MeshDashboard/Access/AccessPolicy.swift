/// Decides which requests are answered: those to a name of this server that do not come from another site's page.
///
/// It uses the route that the router has matched, never the text of the path, which can be spelled in many ways.
struct AccessPolicy: Sendable {
    /// A route as the router knows it.
    struct Route: Hashable, Sendable {
        /// `HEAD` counts as `GET`.
        let method: String
        /// Its template, e.g. `/api/events/{sequence}`; `nil` when no route was matched.
        let template: String?

        init(_ method: String, _ template: String?) {
            self.method = method == "HEAD" ? "GET" : method
            self.template = template
        }
    }

    /// The parts of a request that decide.
    struct Head: Sendable {
        var route = Route("GET", "/")
        var host: String?
        var origin: String?
        /// `Sec-Fetch-Site`.
        var fetchSite: String?
        /// `Sec-Fetch-Mode`.
        var fetchMode: String?
    }

    /// Why a request is refused, whatever its login.
    enum Refusal: Sendable, Equatable {
        /// It uses an unknown host name, which an attacker can point to any address (DNS rebinding).
        case host(String)
        /// It comes from a page of another site.
        case origin
    }

    /// The page's own files.
    private static let pageRoutes: Set<Route> = [Route("GET", "/"), Route("GET", "/{file}")]

    /// The routes without a login. Every other route needs one, and so does a request that matches no route.
    static let publicRoutes: Set<Route> = pageRoutes.union([
        Route("GET", "/healthz"), Route("GET", "/api/openapi.json"),
        Route("GET", "/api/session"), Route("POST", "/api/session"), Route("DELETE", "/api/session"),
    ])

    /// The route that a token of its own gives access to.
    static let metricsRoute = Route("GET", "/metrics")

    /// The routes whose answers may hold a secret of this server. They are not compressed; see ``AnswerCompression``.
    static let secretRoutes: Set<Route> = [
        Route("GET", "/api/session"), Route("POST", "/api/session"), Route("DELETE", "/api/session"),
    ]

    /// The routes that need a login, and the least role that they are for.
    private static let roles: [Route: DashboardRole] = [
        Route("GET", "/api/mesh"): .observer,
        Route("GET", "/api/events"): .observer,
        Route("GET", "/api/events/{sequence}"): .observer,
        Route("GET", "/api/histogram"): .observer,
        Route("GET", "/api/stream"): .observer,
        Route("GET", "/api/export"): .observer,
        metricsRoute: .observer,
        Route("GET", "/api/logs"): .operator,
        Route("POST", "/api/tools"): .operator,
        Route("POST", "/api/events"): .admin,
    ]

    /// The least role that a route with a login is for. One that is not listed is for admins; where no route was matched,
    /// there is nothing to be had.
    static func role(for route: Route) -> DashboardRole {
        route.template == nil ? .observer : roles[route] ?? .admin
    }

    /// The host names that requests may use, besides addresses and `localhost`.
    let names: Set<String>
    /// Whether requests come over TLS to this process itself.
    var isSecure = false

    /// Why the request is refused; `nil` when it is not.
    func refusal(_ head: Head) -> Refusal? {
        guard let host = head.host.flatMap({ HostPort($0) }) else { return .host(head.host ?? "") }
        guard host.isAddress || host.host == "localhost" || names.contains(host.host) else { return .host(host.host) }
        if let origin = head.origin, !isOwn(origin, head.host ?? "") { return .origin }
        // Other sites may link to the page, but may request nothing else.
        let isVisit = head.fetchMode == "navigate" && Self.pageRoutes.contains(head.route)
        if let site = head.fetchSite, site != "same-origin", site != "none", !isVisit { return .origin }
        return nil
    }

    private func isOwn(_ origin: String, _ host: String) -> Bool {
        let host = host.lowercased()
        let origin = origin.lowercased()
        if origin == "https://" + host { return true }
        // A proxy in front may have ended TLS. Without one, port 80 of the same name is another server's.
        return !isSecure && origin == "http://" + host
    }
}

/// A host and a port as in a `Host` header or after `--listen`: `127.0.0.1:8080`, `[::1]:8080`, `pi.local`.
package struct HostPort: Sendable, Equatable {
    /// In lower case; an IPv6 address without its brackets.
    let host: String
    /// `nil` when it is not given.
    let port: Int?

    /// Parses a text; `nil` when it is no host with an optional port.
    package init?(_ text: some StringProtocol) {
        var rest = Substring(text)
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            host = rest[rest.index(after: rest.startIndex)..<end].lowercased()
            rest = rest[rest.index(after: end)...]
            guard host.contains(":") else { return nil }
        } else {
            let end = rest.firstIndex(of: ":") ?? rest.endIndex
            var name = rest[..<end]
            // A final dot marks a fully qualified name (RFC 1034, section 3.1).
            if name.last == "." { name = name.dropLast() }
            host = name.lowercased()
            rest = rest[end...]
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }) else {
            return nil
        }
        // The port after the colon may be empty (RFC 3986, section 3.2.3).
        if rest.isEmpty || rest == ":" {
            port = nil
        } else {
            // Only digits: `Int` would accept a sign too.
            guard rest.first == ":", rest.dropFirst().utf8.allSatisfy(Self.digits.contains),
                let number = Int(rest.dropFirst()), (0...65_535).contains(number)
            else { return nil }
            port = number
        }
    }

    /// Whether the host is a numeric IP address. The owner of a name decides where it leads; an address is fixed.
    var isAddress: Bool {
        if host.contains(":") { return host.utf8.allSatisfy { Self.addressBytes.contains($0) } }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { $0.utf8.allSatisfy(Self.digits.contains) && UInt8($0) != nil }
    }

    /// Whether the host means only this machine.
    package var isLoopback: Bool {
        host == "localhost" || host == "::1" || isAddress && !host.contains(":") && host.hasPrefix("127.")
    }

    private static let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    private static let addressBytes = Set("0123456789abcdef:.%".utf8)
}
