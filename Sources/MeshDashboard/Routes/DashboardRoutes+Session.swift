import HTTPTypes
import Hummingbird
import MeshEvents
import NIOCore

extension DashboardRoutes {
    /// Whether one has to log in, and has.
    func session(isIn: Bool) -> Response {
        let json: EventData = [
            "login": .bool(token != nil), "logged_in": .bool(isIn), "emit": .bool(emitter != nil),
        ]
        return .json(json.json.utf8)
    }

    /// Gives whoever knows the token a session.
    func logIn(_ request: Request) async throws -> Response {
        guard let token else { return session(isIn: true) }
        guard attempts.mayTry() else {
            throw APIError(.tooManyRequests, "tooManyAttempts", "too many wrong tokens; wait a minute")
        }
        let body = try await request.jsonBody(upTo: 4_096)
        guard let given = body["token"]?.string, token.matches(given) else {
            attempts.failed()
            throw APIError(.unauthorized, "login", "that is not the token")
        }
        var response = session(isIn: true)
        response.setCookie(SessionCookie.make(token.session(), for: request))
        return response
    }

    /// Has the browser forget its session.
    func logOut(_ request: Request) -> Response {
        var response = session(isIn: token == nil)
        response.setCookie(SessionCookie.make("", for: request))
        return response
    }
}
