import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1

/// Passes on requests that ``AccessPolicy`` and ``Login`` accept, and turns errors into answers. It adds headers to
/// every answer that restrict the browser to what this page needs.
///
/// It runs after the router has matched the route, and for requests that match none.
struct AccessMiddleware: RouterMiddleware {
    /// Before which server it stands: refusals say what to do there.
    enum Server: Sendable {
        case page
        /// The server of metrics alone.
        case metrics
    }

    let server: Server
    let policy: AccessPolicy
    /// `nil` when no login is required.
    let login: Login?
    /// The login for the metrics alone; `nil` when they have none of their own.
    let metricsLogin: Login?
    let connections: ConnectionTable
    private let budget = AnswerBudget()

    /// Allows only this server's scripts and connections, no conversion of text to markup
    /// (`require-trusted-types-for`), and no frames.
    private static let contentSecurityPolicy = """
        default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
        manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
        require-trusted-types-for 'script'; trusted-types 'none'
        """

    func handle(
        _ request: Request,
        context: DashboardContext,
        next: @concurrent (Request, DashboardContext) async throws -> Response
    ) async throws -> Response {
        let route = AccessPolicy.Route(request.method.rawValue, context.endpointPath)
        var response: Response
        do {
            var context = context
            context.grant = try await admit(request, context)
            response = try await next(request, context)
            response = try await AnswerCompression.compressed(response, to: request, route: route)
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
        let isForMetrics = head.route == AccessPolicy.metricsRoute
        // Under any name: no other site's page knows the token.
        if isForMetrics, let grant = metricsLogin?.knows(request) {
            connections.trust(context.channel)
            return grant
        }
        if let refusal = policy.refusal(head) { throw error(refusal) }
        guard let login = login ?? (isForMetrics ? metricsLogin : nil) else {
            connections.trust(context.channel)
            return .open
        }
        if AccessPolicy.publicRoutes.contains(head.route) { return nil }
        guard let grant = try await login.grant(request, from: context.peer) else {
            throw APIError(.unauthorized, "login", "log in first, or send the token as a bearer token")
        }
        connections.trust(context.channel)
        let needed = AccessPolicy.role(for: head.route)
        guard grant.role >= needed else {
            throw APIError(
                .forbidden,
                "role",
                "\(grant.account?.name ?? "this login") has the role \(grant.role.rawValue); this needs \(needed.rawValue)"
            )
        }
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

    private func error(_ refusal: AccessPolicy.Refusal) -> APIError {
        let isPage = server == .page
        switch refusal {
        case .host(let host):
            let name = String(host.prefix(253)).debugDescription
            return APIError(
                .misdirectedRequest,
                "host",
                isPage
                    ? "\(name) is no name of this dashboard: use its address, or allow the name with --allow-host"
                    : "\(name) is no name of this server of metrics: use its IP address, or give the metrics a token "
                        + "(--metrics-token-file): with that, every name is answered"
            )
        case .origin:
            return APIError(
                .forbidden,
                "origin",
                isPage
                    ? "only this dashboard's own page may send requests"
                    : "pages in a browser may not read these metrics"
            )
        }
    }

    private static let headers: [(HTTPField.Name, String)] = [
        ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"), ("X-Frame-Options", "DENY"),
    ].compactMap { name, value in HTTPField.Name(name).map { ($0, value) } }

    private static let fetchSite = HTTPField.Name("Sec-Fetch-Site") ?? .origin
    private static let fetchMode = HTTPField.Name("Sec-Fetch-Mode") ?? .origin
}

/// A request's context: its connection and what gave it access.
struct DashboardContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection; it is closed when the browser is too slow.
    let channel: any Channel
    /// What gave the request access; `nil` when its route needs no login.
    var grant: Login.Grant?

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }

    /// The client's address.
    var peer: PeerAddress { PeerAddress(channel.remoteAddress) }

    /// Who asks, for shares: a session, or else all clients of an address.
    var reader: String {
        if case .session(let id, _) = grant { "\(id)" } else { "\(peer)" }
    }
}
