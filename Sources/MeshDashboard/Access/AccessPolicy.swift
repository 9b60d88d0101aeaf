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
    static let pageRoutes: Set<Route> = [Route("GET", "/"), Route("GET", "/{file}")]

    /// The routes without a login. Every other route needs one, and so does a request that matches no route.
    static let publicRoutes: Set<Route> = pageRoutes.union([
        Route("GET", "/healthz"), Route("GET", "/api/openapi.json"),
        Route("GET", "/api/session"), Route("POST", "/api/session"), Route("DELETE", "/api/session"),
    ])

    /// The host names that requests may use, besides addresses and `localhost`.
    let names: Set<String>

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
        return origin == "http://" + host || origin == "https://" + host
    }
}
