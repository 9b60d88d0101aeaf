import HTTPTypes
import Hummingbird
import NIOHTTP1

/// Passes on requests that ``AccessPolicy`` and ``Login`` accept, and turns errors into answers. It adds headers to
/// every answer that restrict the browser to what this page needs.
///
/// It runs after the router has matched the route, and for requests that match none.
struct AccessMiddleware: RouterMiddleware {
    let policy: AccessPolicy
    /// `nil` when no login is required.
    let login: Login?
    let connections: ConnectionTable
    let budget = AnswerBudget()

    /// Allows only this server's scripts and connections, no conversion of text to markup
    /// (`require-trusted-types-for`), and no frames.
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
            var context = context
            context.grant = try await admit(request, context)
            response = try await next(request, context)
        } catch let error as HTTPParserError {
            // The rest of the connection cannot be parsed: the server answers 400 and closes it.
            throw error
        } catch let error as TooManyGuesses {
            context.channel.close(promise: nil)
            throw error
        } catch {
            response = try APIError(error).response(from: request, context: context)
        }
        response.headers[.contentSecurityPolicy] = Self.contentSecurityPolicy
        response.headers[.xContentTypeOptions] = "nosniff"
        for (name, value) in Self.headers { response.headers[name] = value }
        // An answer to HEAD has no body, even for an error: the client takes the next bytes for the next answer.
        if request.method == .head { return response.createHeadResponse() }
        return budget.counted(response, on: context.channel)
    }

    /// What gives the request access; `nil` when its route needs no login.
    private func admit(_ request: Request, _ context: DashboardContext) async throws -> Login.Grant? {
        let head = Self.head(of: request, context)
        if let refusal = policy.refusal(head) { throw Self.error(refusal) }
        guard let login else {
            connections.trust(context.channel)
            return .token
        }
        if AccessPolicy.publicRoutes.contains(head.route) { return nil }
        guard let grant = try await login.grant(request, from: context.peer) else {
            throw APIError(.unauthorized, "login", "log in first, or send the token as a bearer token")
        }
        connections.trust(context.channel)
        return grant
    }

    private static func head(of request: Request, _ context: DashboardContext) -> AccessPolicy.Head {
        AccessPolicy.Head(
            route: AccessPolicy.Route(request.method.rawValue, context.endpointPath),
            host: request.head.authority,
            origin: request.headers[.origin],
            fetchSite: request.headers[fetchSite],
            fetchMode: request.headers[fetchMode]
        )
    }

    private static func error(_ refusal: AccessPolicy.Refusal) -> APIError {
        switch refusal {
        case .host(let host):
            APIError(
                .misdirectedRequest,
                "host",
                "\(String(host.prefix(253)).debugDescription) is no name of this dashboard: use its address, "
                    + "or allow the name with --allow-host"
            )
        case .origin: APIError(.forbidden, "origin", "only this dashboard's own page may send requests")
        }
    }

    private static let headers: [(HTTPField.Name, String)] = [
        ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"), ("X-Frame-Options", "DENY"),
    ].compactMap { name, value in HTTPField.Name(name).map { ($0, value) } }

    private static let fetchSite = HTTPField.Name("Sec-Fetch-Site") ?? .origin
    private static let fetchMode = HTTPField.Name("Sec-Fetch-Mode") ?? .origin
}
