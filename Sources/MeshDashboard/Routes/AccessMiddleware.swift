import HTTPTypes
import Hummingbird

/// Lets through what ``AccessPolicy`` does not refuse, turns errors into answers, and puts the headers on every answer that
/// keep a browser from doing more than this page needs.
struct AccessMiddleware: RouterMiddleware {
    let policy: AccessPolicy

    /// No code but that of this server's files, no connection to anywhere else, no text turned into markup
    /// (`require-trusted-types-for`), in nobody's frame.
    static let contentSecurityPolicy = """
        default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
        manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
        require-trusted-types-for 'script'; trusted-types 'none'
        """

    func handle(
        _ request: Request,
        context: DashboardContext,
        next: @concurrent (Request, DashboardContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            if let refusal = policy.refusal(Self.head(of: request)) { throw Self.error(refusal) }
            response = try await next(request, context)
        } catch {
            response = try APIError(error).response(from: request, context: context)
        }
        response.headers[.contentSecurityPolicy] = Self.contentSecurityPolicy
        response.headers[.xContentTypeOptions] = "nosniff"
        for (name, value) in Self.headers { response.headers[name] = value }
        return response
    }

    static func head(of request: Request) -> AccessPolicy.Head {
        AccessPolicy.Head(
            method: request.method.rawValue,
            path: request.uri.path,
            host: request.head.authority,
            origin: request.headers[.origin],
            fetchSite: request.headers[Self.fetchSite],
            fetchMode: request.headers[Self.fetchMode],
            authorization: request.headers[.authorization],
            session: request.cookies[SessionCookie.name(of: request)]?.value
        )
    }

    private static func error(_ refusal: AccessPolicy.Refusal) -> APIError {
        switch refusal {
        case .host(let host):
            APIError(
                .misdirectedRequest,
                "host",
                "this dashboard is not known as \(host.debugDescription): ask for it by its address, or allow the name "
                    + "with --allow-host"
            )
        case .origin: APIError(.forbidden, "origin", "only this dashboard's own page may ask")
        case .login: APIError(.unauthorized, "login", "log in first, or send the token as a bearer token")
        }
    }

    private static let headers: [(HTTPField.Name, String)] = [
        ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"), ("X-Frame-Options", "DENY"),
    ].compactMap { name, value in HTTPField.Name(name).map { ($0, value) } }

    private static let fetchSite = HTTPField.Name("Sec-Fetch-Site") ?? .origin
    private static let fetchMode = HTTPField.Name("Sec-Fetch-Mode") ?? .origin
}
