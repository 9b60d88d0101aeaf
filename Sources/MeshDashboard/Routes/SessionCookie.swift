import Hummingbird

/// The cookie of a session.
enum SessionCookie {
    /// Its name. Cookies do not know ports: each dashboard of a machine has its own.
    static func name(of request: Request) -> String {
        let port = request.head.authority.flatMap { HostPort($0) }?.port ?? 80
        return "mesh_events_\(port)"
    }

    /// So many cookies of this name are looked at.
    private static let maximumValues = 8

    /// What the request brings under this name. There may be several: any server of this host can set one with a longer
    /// path, which a browser then sends first, and that must not hide the one that counts.
    static func values(of request: Request) -> [String] {
        let name = name(of: request)
        var values: [String] = []
        for field in request.headers[values: .cookie] {
            for pair in field.split(separator: ";") {
                guard let equals = pair.firstIndex(of: "="), pair[..<equals].drop(while: { $0 == " " }) == name else {
                    continue
                }
                values.append(String(pair[pair.index(after: equals)...].prefix(128).filter { $0 != " " }))
            }
        }
        // The last ones: a browser sends those with longer paths first, and the session's has the shortest.
        return values.suffix(maximumValues)
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
