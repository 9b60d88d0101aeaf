import HTTPTypes
import Hummingbird
import MeshEvents
import NIOCore

extension DashboardRoutes {
    /// Whether one has to log in, and has.
    ///
    /// - Throws: `APIError` for a wrong token, which counts here as everywhere.
    func session(_ request: Request, _ context: DashboardContext) async throws -> Response {
        guard let login else { return session(isIn: true) }
        return session(isIn: try await login.grant(request, from: context.peer) != nil)
    }

    /// Gives a client that knows the token a session.
    func logIn(_ request: Request, _ context: DashboardContext) async throws -> Response {
        guard let login else { return session(isIn: true) }
        let body = try await request.jsonBody(upTo: 4_096)
        try await login.check(body["token"]?.string ?? "", from: context.peer)
        let halves = login.sessions.begin()
        var response = session(isIn: true, key: halves.key)
        response.setCookie(SessionCookie.make(halves.cookie, for: request))
        return response
    }

    /// Ends the session, here and in the browser, and the streams that were opened with it.
    func logOut(_ request: Request) -> Response {
        if let login, let id = login.session(of: request) {
            login.sessions.end(id)
            // Each stream looks at its session when it is woken.
            feed.say(.tick(.now, mesh: mesh.toldUntil))
        }
        var response = session(isIn: login == nil)
        response.setCookie(SessionCookie.make("", for: request))
        return response
    }

    /// - Parameter key: the half of a session that has just begun, for the page.
    private func session(isIn: Bool, key: String? = nil) -> Response {
        var members: [(String, JSONValue)] = [
            ("login", .bool(login != nil)), ("logged_in", .bool(isIn)), ("emit", .bool(emitter != nil)),
        ]
        if let key { members.append(("session", .string(key))) }
        return .json(JSONValue.object(JSONObject(members)).description.utf8)
    }
}
