import HTTPTypes
import Hummingbird
import MeshEvents
import NIOCore

extension DashboardRoutes {
    /// Answers whether a login is required, and whether the client is logged in.
    ///
    /// - Throws: `APIError` for a wrong token, which is counted as on every route.
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

    /// Ends the session on the server and in the browser, and the event streams that were opened with it.
    func logOut(_ request: Request) -> Response {
        if let login, let id = login.session(of: request) {
            login.sessions.end(id)
            // Wakes each stream, so that it checks its session.
            feed.say(.tick(.now, mesh: mesh.toldUntil))
        }
        var response = session(isIn: login == nil)
        response.setCookie(SessionCookie.make("", for: request))
        return response
    }

    /// The answer about a session.
    ///
    /// - Parameter key: the key of a session that has just begun, for the page.
    private func session(isIn: Bool, key: String? = nil) -> Response {
        var members: [(String, JSONValue)] = [
            ("login", .bool(login != nil)), ("logged_in", .bool(isIn)), ("emit", .bool(emitter != nil)),
        ]
        if let key { members.append(("session", .string(key))) }
        return .json(JSONValue.object(JSONObject(members)).description.utf8)
    }
}
