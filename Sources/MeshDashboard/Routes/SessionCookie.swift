import Hummingbird

/// The cookie of a session.
enum SessionCookie {
    /// The cookie's name. It contains the port, because browsers send a cookie to all ports of a host.
    static func name(of request: Request) -> String {
        let port = request.head.authority.flatMap { HostPort($0) }?.port ?? 80
        return "mesh_events_\(port)"
    }

    /// How many cookies of this name are checked.
    private static let maximumValues = 8

    /// The values of this cookie in a request. There may be several: any server of this host can set one with a longer
    /// path. A browser sends that one first; it must not hide the session's cookie.
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
        // The last ones: a browser sends cookies with longer paths first, and the session's path is the shortest.
        return values.suffix(maximumValues)
    }

    /// Makes a cookie that lasts as long as the session; an empty value deletes it.
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
