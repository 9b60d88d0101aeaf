import HTTPTypes
import Hummingbird
import MeshEvents

/// Checks logins where a token is required.
struct Login: Sendable {
    /// What gives a client access.
    enum Grant: Sendable, Equatable {
        /// The token itself, or the fact that none is required.
        case token
        /// A session, which can end.
        case session(DashboardSessions.ID)
    }

    let token: DashboardToken
    let sessions = DashboardSessions()
    private let guesses = TokenGuesses()
    /// The header with the key of a session.
    private static let sessionKey = HTTPField.Name("Mesh-Events-Session") ?? .authorization
    private static let maximumKey = 128

    init(token: DashboardToken) { self.token = token }

    /// What gives the request access; `nil` when it has neither a valid session nor a token.
    ///
    /// - Throws: as ``check(_:from:)`` for a bearer token that is wrong.
    func grant(_ request: Request, from address: PeerAddress) async throws -> Grant? {
        if let id = session(of: request) { return .session(id) }
        guard let candidate = Self.bearer(request) else { return nil }
        try await check(candidate, from: address)
        return .token
    }

    /// The session whose cookie and key the request has.
    func session(of request: Request) -> DashboardSessions.ID? {
        guard let key = request.headers[Self.sessionKey], key.utf8.count <= Self.maximumKey else { return nil }
        return SessionCookie.values(of: request).lazy
            .compactMap { sessions.session(.init(cookie: $0, key: key)) }.first
    }

    /// Whether a grant is still valid.
    func holds(_ grant: Grant) -> Bool {
        if case .session(let id) = grant { sessions.isSession(id) } else { true }
    }

    /// Checks a token. Wrong ones are counted for each address; after many of them the answers are delayed.
    ///
    /// - Throws: `APIError` when it is wrong; `TooManyGuesses` when too many delayed answers wait.
    func check(_ candidate: String, from address: PeerAddress) async throws {
        if token.matches(candidate) { return }
        let verdict = guesses.failed(from: address)
        if verdict == .delayed {
            defer { guesses.delayIsOver() }
            try await Task.sleep(for: TokenGuesses.delay)
        }
        guard verdict != .tooMany else { throw TooManyGuesses() }
        guard verdict == .refused else {
            throw APIError(.tooManyRequests, "tooManyAttempts", "too many wrong tokens; wait a minute")
        }
        throw APIError(.unauthorized, "login", "the token is wrong")
    }

    private static func bearer(_ request: Request) -> String? {
        guard let value = request.headers[.authorization] else { return nil }
        let scheme = value.prefix(7)
        return scheme.lowercased() == "bearer " ? String(value.dropFirst(7)) : nil
    }
}
