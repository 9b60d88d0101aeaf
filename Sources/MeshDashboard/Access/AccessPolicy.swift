/// Who is answered: a page that this server sent, asked for under a name that is this server's, by somebody who is let in.
struct AccessPolicy: Sendable {
    /// What of a request counts.
    struct Head: Sendable {
        var method = "GET"
        var path = "/"
        var host: String?
        var origin: String?
        /// `Sec-Fetch-Site`.
        var fetchSite: String?
        /// `Sec-Fetch-Mode`.
        var fetchMode: String?
        var authorization: String?
        /// The value of the session's cookie.
        var session: String?
    }

    /// Why a request is refused.
    enum Refusal: Sendable, Equatable {
        /// Under a name that anybody can give to any address (DNS rebinding).
        case host(String)
        /// By a page from elsewhere.
        case origin
        /// By somebody who has not logged in.
        case login
    }

    /// What lets somebody in; `nil` lets everybody in.
    let token: DashboardToken?
    /// The names under which it may be asked, beside addresses and `localhost`.
    let names: Set<String>

    /// Why the request is refused; `nil` when it is not.
    func refusal(_ head: Head) -> Refusal? {
        guard let host = head.host.flatMap({ HostPort($0) }) else { return .host(head.host ?? "") }
        guard host.isAddress || host.host == "localhost" || names.contains(host.host) else { return .host(host.host) }
        if let origin = head.origin, !isOwn(origin, head.host ?? "") { return .origin }
        // A link from elsewhere may lead here; nothing else may.
        let isVisit = head.method == "GET" && head.fetchMode == "navigate" && !head.path.hasPrefix("/api")
        if let site = head.fetchSite, site != "same-origin", site != "none", !isVisit { return .origin }
        return needsLogin(head) && !isLoggedIn(head) ? .login : nil
    }

    /// Whether the request comes with a session, or with the token itself.
    func isLoggedIn(_ head: Head) -> Bool {
        guard let token else { return true }
        if let session = head.session, token.isSession(session) { return true }
        guard let authorization = head.authorization, authorization.hasPrefix("Bearer ") else { return false }
        return token.matches(String(authorization.dropFirst("Bearer ".count)))
    }

    private func needsLogin(_ head: Head) -> Bool {
        head.path.hasPrefix("/api/") && head.path != "/api/session" && head.path != "/api/openapi.json"
    }

    private func isOwn(_ origin: String, _ host: String) -> Bool {
        let host = host.lowercased()
        let origin = origin.lowercased()
        return origin == "http://" + host || origin == "https://" + host
    }
}
