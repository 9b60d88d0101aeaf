import Hummingbird

/// The cookie of a session.
enum SessionCookie {
    /// Its name. Cookies do not know ports: each dashboard of a machine has its own.
    static func name(of request: Request) -> String {
        let port = request.head.authority.flatMap { HostPort($0) }?.port ?? 80
        return "mesh_events_\(port)"
    }

    /// One that lasts as long as the session; an empty value ends it.
    static func make(_ value: String, for request: Request) -> Cookie {
        Cookie(
            name: name(of: request),
            value: value,
            maxAge: value.isEmpty ? 0 : Int(DashboardSessions.lifetime / .seconds(1)),
            path: "/",
            httpOnly: true,
            sameSite: .strict
        )
    }
}
